"""HTML pages of the reports: self-contained, from templates that extend `page.html`."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(template: str, values: Mapping[str, object]) -> str:
    """Render a page.

    Args:
        template: File name in `templates/`.
        values: Values and functions that the template uses, by name; text is escaped. `title` is
            both the document's title and its heading.

    Returns:
        The HTML document.
    """
    environment = Environment(
        loader=PackageLoader("recsys.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
