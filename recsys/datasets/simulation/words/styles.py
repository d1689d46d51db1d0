"""The looks an item can have: told by its text alone, in words that differ from item to item.

In every line `{a|b|c}` stands for one of its alternatives.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """A look, and the many ways a shop writes about it.

    Attributes:
        name: Its name in the truth; items need not use it.
        appeal: How many users like it, relative to the other styles.
        adjectives: What stands before the noun in a title.
        words: What a description calls it.
        motifs: What stands after `with` in a title.
        lines: Sentences of a description.
        colours: Its palette.
        rare_in: Categories in which it is seldom found.
    """

    name: str
    appeal: float
    adjectives: tuple[str, ...]
    words: tuple[str, ...]
    motifs: tuple[str, ...]
    lines: tuple[str, ...]
    colours: tuple[str, ...]
    rare_in: tuple[str, ...] = ()


STYLES: tuple[Style, ...] = (
    Style(
        "vintage",
        1.5,
        ("vintage", "antique-look", "heirloom", "Victorian", "old-fashioned", "Edwardian"),
        ("nostalgic", "antique", "time-worn", "old-world", "traditional", "period", "historic"),
        (
            "faded {lettering|roses}",
            "aged brass {trim|corners}",
            "a sepia {portrait|map}",
            "tea-stained edges",
            "an apothecary label",
            "a penny-farthing drawing",
        ),
        (
            "Looks as though it came {from grandmother's attic|off a Paris flea-market stall}.",
            "Modelled on {a 1920s original|a find in an auction house|pieces from the 1930s}.",
            "Aged by hand, like {an antique|an heirloom of several generations}.",
            "For anyone who {collects curios|haunts antique fairs|misses the days of steam}.",
            "Brings back the {tea rooms and railway hotels|drawing rooms} of a bygone age.",
            "Patina, {foxed paper|tarnish} and all the nostalgia of yesteryear.",
        ),
        ("ivory", "sepia brown", "dusty rose", "bottle green", "burgundy", "cream"),
        ("Outdoor & Travel",),
    ),
    Style(
        "minimalist",
        1.4,
        ("minimalist", "plain", "pared-back", "understated", "clean-lined", "monochrome"),
        (
            "simple",
            "sleek",
            "modern",
            "spare",
            "uncluttered",
            "unadorned",
            "geometric",
            "restrained",
        ),
        (
            "no ornament at all",
            "a {matt|smooth} unbroken surface",
            "crisp straight edges",
            "a single thin line",
            "hidden seams",
        ),
        (
            "Pure minimalism: nothing {to distract the eye|you would take away}.",
            "{Quiet geometry|One pure shape} and plenty of empty space.",
            "Drawn by {an architect|a Bauhaus admirer} who believes that less is more.",
            "Made for {uncluttered shelves|bare white rooms|people who own few things}.",
            "No logo, no pattern, no fuss.",
            "{Sober proportions|A calm silhouette} that will not date.",
        ),
        ("white", "black", "light grey", "off-white", "charcoal", "stone"),
        ("Kids & Baby",),
    ),
    Style(
        "rustic",
        1.3,
        ("rustic", "farmhouse", "weathered", "rough-hewn", "homespun", "country-kitchen"),
        ("country-style", "rural", "homemade", "earthy", "rough-sawn", "cottagey", "farm-fresh"),
        (
            "rope handles",
            "a hand-stitched hem",
            "bark left on the edge",
            "{hens|wheat ears} on the front",
            "visible knots and grain",
            "a gingham {border|lining}",
        ),
        (
            "Carries the feel of {a barn conversion|an old cottage|a hayloft in August}.",
            "Every piece is {uneven in its own way|a little crooked}, like things on a farm.",
            "Goes with {scrubbed pine|muddy boots by the back door|a wood-burning stove}.",
            "Made in {a village workshop|a converted stable} by people who also keep sheep.",
            "Honest country craft, a bit rough around the edges.",
            "Think {orchards and cider|beams and flagstones|Sunday bread on the table}.",
        ),
        ("oatmeal", "barn red", "straw", "moss green", "chestnut", "cream"),
    ),
    Style(
        "industrial",
        0.9,
        ("industrial", "factory-style", "loft", "workshop", "riveted", "warehouse"),
        ("metallic", "mechanical", "urban", "factory-made", "utilitarian", "raw", "steely"),
        (
            "exposed {screws|bolts}",
            "stencilled {serial numbers|lettering}",
            "a gunmetal finish",
            "a concrete-effect surface",
            "pipe fittings",
            "a hazard stripe",
        ),
        (
            "Built like {a machine part|something off the assembly line}.",
            "At home under {bare bulbs and brick|steel girders|a saw-tooth roof}.",
            "Borrowed from {dockside foundries|old signal boxes|a mill engine room}.",
            "Raw metal, {blackened seams|welds left showing} and no apology for it.",
            "For the {converted warehouse|city flat with exposed ducts}.",
            "Heavy-duty, {oil-dark|scuffed} and meant to look used.",
        ),
        ("gunmetal", "black", "rust", "concrete grey", "graphite", "copper"),
        ("Kids & Baby", "Bath & Wellness"),
    ),
    Style(
        "bohemian",
        1.2,
        ("bohemian", "boho", "nomad", "kaleidoscopic", "free-spirited", "Marrakesh"),
        ("hippie", "eclectic", "Moroccan", "nomadic", "multicoloured", "festival-ready", "folksy"),
        (
            "tassels {all round|at the corners}",
            "a mandala",
            "mirror-work {embroidery|dots}",
            "macramé fringing",
            "a patchwork of saris",
            "beads and {feathers|shells}",
        ),
        (
            "Full of {souk colours|spice-market scents|hippie spirit}, and no two alike.",
            "For {nomad souls|dreamers with incense burning|a room of kilims and poufs}.",
            "Inspired by {caravans and campfire songs|Indian block printing|Moroccan riads}.",
            "Mix it with {kilims|batik and henna patterns}: more is more.",
            "Carefree, {barefoot|hippie} and happily mismatched.",
            "Ikat, paisley and {a whiff of patchouli|festival spirit}.",
        ),
        ("saffron", "turquoise", "magenta", "terracotta", "ochre", "plum"),
    ),
    Style(
        "coastal",
        1.2,
        ("coastal", "nautical", "seaside", "harbour", "driftwood", "Breton"),
        ("beachy", "maritime", "sea-washed", "oceanic", "marine", "shipshape", "sandy"),
        (
            "{anchors|sailing boats}",
            "a lighthouse",
            "knotted rope",
            "{starfish|scallop shells}",
            "ticking stripes",
            "a seagull on a post",
        ),
        (
            "Brings home the {salt air|sound of waves|light of a fishing village}.",
            "For {beach huts|sailors ashore|a cabin with a view of the water}.",
            "Bleached as if by {sun and spray|a summer on the pier}.",
            "{Sandy toes|Shrimping nets|Deckchairs} not included.",
            "Takes its cue from {old sea charts|harbour flags|a captain's trunk}.",
            "As fresh as {low tide in June|a breeze off the bay}.",
        ),
        ("navy", "sea blue", "sand", "white", "coral", "aqua"),
        ("Stationery & Craft",),
    ),
    Style(
        "botanical",
        1.2,
        ("botanical", "leafy", "fern-print", "wildflower", "herbarium", "meadow"),
        ("floral", "leafy", "flowery", "woodland", "garden-fresh", "green", "petal-strewn"),
        (
            "{monstera|eucalyptus} leaves",
            "pressed {poppies|cow parsley}",
            "a climbing ivy",
            "{bees and clover|moths and thistles}",
            "a study of mushrooms",
            "trailing willow",
        ),
        (
            "Covered in {foliage|blossom} drawn from life.",
            "After the plates of {an 18th-century naturalist|Kew's old flower books}.",
            "Like {a walk in the woods|a greenhouse after rain|a hedgerow in May}.",
            "For people who {talk to their ferns|press petals|know the Latin names}.",
            "Lets the {jungle|orchard|forest floor} grow indoors.",
            "Petals, {pollen|seed heads} and dew on every stem.",
        ),
        ("sage green", "fern", "moss green", "lilac", "buttercup", "olive"),
    ),
    Style(
        "glamorous",
        1.0,
        ("glamorous", "opulent", "sequinned", "art-deco", "gilded", "Hollywood"),
        ("luxurious", "glitzy", "sparkling", "lavish", "glittering", "chic", "jewelled"),
        (
            "{gold|rose-gold} foil",
            "crystal {drops|studs}",
            "a marble effect",
            "a mirrored {panel|rim}",
            "satin piping",
            "a fan of metallic rays",
        ),
        (
            "Shimmers like {a ballroom|champagne|the red carpet}.",
            "Pure {penthouse|grand hotel|dressing-room} luxury.",
            "For {evenings that call for diamonds|divas|whoever dresses up for breakfast}.",
            "Lavish, {dazzling|sumptuous} and not the least bit shy.",
            "A touch of {Gatsby|Monte Carlo|first class} for every day.",
            "Polished until you can see {your lipstick|yourself} in it.",
        ),
        ("gold", "champagne", "emerald", "ruby", "silver", "midnight blue"),
        ("Garden", "Outdoor & Travel", "Kids & Baby"),
    ),
    Style(
        "whimsical",
        1.3,
        ("whimsical", "quirky", "cartoon", "cheeky", "storybook", "comical"),
        ("funny", "playful", "silly", "cute", "humorous", "zany", "childlike"),
        (
            "a {fox|hedgehog} in a waistcoat",
            "dancing {llamas|sausage dogs}",
            "googly eyes",
            "a {dinosaur|unicorn} on roller skates",
            "{sloths|cats} up to no good",
            "a very small wizard",
        ),
        (
            "Guaranteed to {raise a giggle|make visitors laugh}.",
            "Straight from {a nursery rhyme|a daydream|the funny pages}.",
            "Look closely: {somebody is wearing odd shoes|the rabbit winks}.",
            "For {big kids|grown-ups who never quite did|the class clown}.",
            "Silly in the best way, {moustache|bow tie} included.",
            "A bit of {comic mischief|silly nonsense} for grey mornings.",
        ),
        ("sunshine yellow", "sky blue", "mint", "bubblegum pink", "tangerine", "lime"),
    ),
    Style(
        "gothic",
        0.7,
        ("gothic", "witchy", "haunted", "raven", "occult", "vampire"),
        ("spooky", "macabre", "dark", "sinister", "eerie", "ghostly", "bewitching"),
        (
            "{skulls|bats}",
            "a crescent moon",
            "black lace {trim|overlay}",
            "a coffin-shaped {tag|clasp}",
            "tarot figures",
            "spiders' webs",
        ),
        (
            "For {creatures of the night|those who dress in mourning|modern sorcerers}.",
            "As dark as {a crypt|a moonless heath|Poe on a bad day}.",
            "Candlelight, {cobwebs|cathedral shadows} and a hint of menace.",
            "Would not look out of place in {Transylvania|a ruined abbey}.",
            "Cast {a spell|a long shadow} over the room.",
            "Halloween? No, {every single day|all year round}.",
        ),
        ("black", "blood red", "deep purple", "midnight blue", "charcoal", "bone"),
        ("Kids & Baby", "Garden"),
    ),
    Style(
        "pop",
        1.0,
        ("pop-art", "neon", "colour-block", "psychedelic", "eighties", "disco"),
        ("loud", "fluorescent", "graphic", "vivid", "groovy", "funky", "retro"),
        (
            "{zigzags|squiggles} in clashing shades",
            "comic-strip {speech bubbles|dots}",
            "a lightning bolt",
            "a {cassette|roller-skate} print",
            "fluorescent edges",
            "giant polka dots",
        ),
        (
            "Loud, {graphic|electric} and proud of it.",
            "As if {Warhol|an arcade machine|a jukebox} had designed it.",
            "Turns the {neon|disco lights} up to eleven.",
            "Takes you back to {mixtapes|lava lamps|Saturday-morning television}.",
            "Bold shapes, {clashing primaries|hot colours}, zero subtlety.",
            "For {party people|record collectors|those allergic to beige}.",
        ),
        ("hot pink", "electric blue", "lime", "orange", "acid yellow", "violet"),
        ("Garden",),
    ),
    Style(
        "explorer",
        1.0,
        ("expedition", "rugged", "field", "all-weather", "backcountry", "trail"),
        (
            "adventurous",
            "outdoorsy",
            "hard-wearing",
            "weatherproof",
            "wilderness-ready",
            "sturdy",
            "intrepid",
        ),
        (
            "contour lines",
            "storm-proof {flaps|seals}",
            "a compass rose",
            "a {bear|wolf} track",
            "carabiner loops",
            "a ridge of pine trees",
        ),
        (
            "Tested {above the tree line|in sleet|on a month-long trek}.",
            "For {mountaineers|rangers|anyone who would rather be off the map}.",
            "Shrugs off {mud, grit and rain|knocks that would finish a lesser thing}.",
            "Carries the spirit of {the great outdoors|polar huts|base camp}.",
            "Tough enough for {the wilderness|an Arctic crossing}, and just as happy at home.",
            "Where the {hiking trail|mountain road} ends, this begins.",
        ),
        ("khaki", "olive", "slate", "burnt orange", "forest green", "tan"),
        ("Bath & Wellness", "Kids & Baby"),
    ),
    Style(
        "romantic",
        1.1,
        ("romantic", "frilled", "blush", "cottage-rose", "lace-edged", "dainty"),
        ("feminine", "tender", "delicate", "sweet", "lovely", "sentimental", "soft-hearted"),
        (
            "scalloped {edges|lace}",
            "tiny rosebuds",
            "{ribbons|bows}",
            "{turtle doves|cherubs}",
            "a heart at the centre",
            "watercolour peonies",
        ),
        (
            "Soft as {a love letter|a whispered promise|first kisses}.",
            "All {ruffles and sighs|tenderness}, for the hopeless dreamer.",
            "Feels like {a page of Jane Austen|a sonnet|an afternoon in Verona}.",
            "Sweet, {feminine|delicate} and a little old at heart.",
            "Ties with {a bow|silk ribbon} and makes hearts melt.",
            "For {sweethearts|secret admirers} and candlelit corners.",
        ),
        ("blush pink", "lilac", "pearl", "dusty rose", "powder blue", "cream"),
        ("Outdoor & Travel",),
    ),
    Style(
        "nordic",
        1.1,
        ("Nordic", "Scandi", "hygge", "Fair Isle", "Alpine-lodge", "fireside"),
        ("cosy", "Scandinavian", "wintry", "snug", "snowy", "woolly", "hygge-filled"),
        (
            "{reindeer|snowflakes}",
            "a chunky cable knit look",
            "birch trees",
            "a Dala horse",
            "sheepskin {details|lining}",
            "stars over a log cabin",
        ),
        (
            "Made for {snowed-in weekends|long dark evenings|woolly socks and cocoa}.",
            "As snug as {a cabin in Norway|a sauna after snow}.",
            "From the land of {fjords|northern lights|cinnamon buns}.",
            "Keeps the {snow|polar night} outside the door.",
            "Warm, {woolly|pale-wood} comfort, the way they do it in {Oslo|Lapland}.",
            "Curl up, light {the stove|a few candles} and stay in.",
        ),
        ("snow white", "cranberry", "ice blue", "oatmeal", "pine green", "light grey"),
    ),
)
