"""The kinds of product the shop sells. In every line `{a|b}` is one of both."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """A kind of product.

    Attributes:
        name: Its name in the truth.
        category: The shop's category, shared by several families.
        price: Usual price, in the shop's currency.
        nouns: What shops call it.
        materials: What it is made of.
        details: What it does, to follow `it`.
        consumable: Whether people use it up and buy it again.
        pack: What goods without a look of their own are sold in; None for others.
    """

    name: str
    category: str
    price: float
    nouns: tuple[str, ...]
    materials: tuple[str, ...]
    details: tuple[str, ...]
    consumable: bool = False
    pack: str | None = None


def _family(
    category: str,
    price: float,
    nouns: str,
    materials: str,
    details: str,
    *,
    used_up: bool = False,
    pack: str | None = None,
) -> Family:
    names = tuple(nouns.split(", "))
    return Family(
        name=names[0],
        category=category,
        price=price,
        nouns=names,
        materials=tuple(materials.split(", ")),
        details=tuple(details.split("; ")),
        consumable=used_up,
        pack=pack,
    )


_HOME = "Home Decor"
_KITCHEN = "Kitchen & Pantry"
_GARDEN = "Garden"
_OUTDOOR = "Outdoor & Travel"
_CLOTHES = "Clothing & Accessories"
_KIDS = "Kids & Baby"
_PAPER = "Stationery & Craft"
_BATH = "Bath & Wellness"

FAMILIES: tuple[Family, ...] = (
    _family(
        _HOME,
        24,
        "cushion, scatter cushion, throw pillow, bolster",
        "linen, velvet, cotton, wool",
        "has a concealed zip; comes with a {feather|fibre} pad; measures {45|50} cm square",
    ),
    _family(
        _HOME,
        45,
        "throw, blanket, bedspread, sofa cover",
        "wool, cotton, fleece, mohair",
        "covers {an armchair|a double bed}; washes at 30 degrees; is fringed at {both|the} ends",
    ),
    _family(
        _HOME,
        60,
        "table lamp, bedside lamp, reading light, desk lamp",
        "ceramic, brass, oak, glass",
        "takes {an E14|an E27} bulb; dims {at a touch|in three steps}; stands {35|42} cm tall",
    ),
    _family(
        _HOME,
        16,
        "scented candle, pillar candle, jar candle, tealight set",
        "soy wax, beeswax, rapeseed wax",
        "burns for {30|45|60} hours; smells of {fig|cedar|honey|linen}; has a cotton wick",
        used_up=True,
    ),
    _family(
        _HOME,
        38,
        "wall clock, mantel clock, alarm clock",
        "metal, oak, glass, bamboo",
        "runs on {one AA cell|two small batteries}; ticks {softly|not at all}; is {25|30} cm wide",
    ),
    _family(
        _HOME,
        32,
        "art print, framed picture, wall hanging, canvas",
        "paper, canvas, birch, linen",
        "arrives {ready to hang|rolled in a tube}; comes in {A3|A4}; is signed on the back",
    ),
    _family(
        _KITCHEN,
        13,
        "mug, coffee cup, teacup, espresso cup",
        "stoneware, porcelain, enamel, bone china",
        "holds {250|350} ml; is dishwasher safe; keeps {tea|coffee} hot; has a roomy handle",
    ),
    _family(
        _KITCHEN,
        34,
        "teapot, cafetière, kettle, coffee pot",
        "stoneware, cast iron, glass, porcelain",
        "serves {two|four|six}; pours without a drip; has a fine steel strainer",
    ),
    _family(
        _KITCHEN,
        29,
        "serving board, chopping board, cheese board, platter",
        "oak, acacia, olive wood, slate",
        "has a groove for {juices|crumbs}; is oiled by hand; hangs from a leather loop",
    ),
    _family(
        _KITCHEN,
        22,
        "table runner, tablecloth, napkin set, tea towel",
        "linen, cotton, hemp, jute",
        "washes {soft|at 40 degrees}; fits a table for {six|eight}; hardly needs ironing",
    ),
    _family(
        _KITCHEN,
        9,
        "loose-leaf tea, breakfast tea, herbal infusion, chai blend",
        "Assam, rooibos, ginger, peppermint",
        "makes {40|50} cups; is blended in small batches; keeps for two years",
        used_up=True,
        pack="tin",
    ),
    _family(
        _KITCHEN,
        11,
        "coffee beans, ground coffee, espresso blend, cold-brew pack",
        "Arabica, Colombian, Ethiopian, dark-roast",
        "tastes of {cocoa and nuts|cherry and caramel}; is roasted weekly; weighs {250|500} g",
        used_up=True,
        pack="bag",
    ),
    _family(
        _KITCHEN,
        18,
        "storage jar, biscuit tin, canister, bread bin",
        "glass, enamel, tin, ceramic",
        "seals {airtight|with a cork lid}; keeps {biscuits|flour|pasta} fresh; stacks",
    ),
    _family(
        _GARDEN,
        27,
        "planter, flower pot, window box, hanging pot",
        "terracotta, zinc, glazed clay, wicker",
        "drains through the base; is frost proof; holds {three|four} plants",
    ),
    _family(
        _GARDEN,
        21,
        "bird feeder, nesting box, bird bath, bee hotel",
        "cedar, copper, recycled plastic, ceramic",
        "draws {robins|finches|tits}; is easy to clean; hangs from a {branch|hook}",
    ),
    _family(
        _GARDEN,
        31,
        "garden lantern, solar light, string lights, fire bowl",
        "iron, glass, bamboo, steel",
        "glows for {six|eight} hours; charges by daylight; stays out all year",
    ),
    _family(
        _GARDEN,
        8,
        "seed kit, flower seed mix, bulb collection, herb kit",
        "organic, heritage, peat-free",
        "sprouts in {ten|fourteen} days; comes with {pots|markers}; suits a sunny sill",
        used_up=True,
        pack="packet",
    ),
    _family(
        _GARDEN,
        23,
        "wind chime, garden ornament, weather vane, sundial",
        "copper, slate, bamboo, cast stone",
        "rings {low|softly} in the wind; weathers well; needs no fixing",
    ),
    _family(
        _OUTDOOR,
        75,
        "rucksack, backpack, daypack, duffel bag",
        "canvas, recycled nylon, waxed cotton",
        "holds {18|25} litres; has a padded back; keeps {a laptop|maps} dry",
    ),
    _family(
        _OUTDOOR,
        25,
        "water bottle, flask, travel cup, hip flask",
        "steel, glass, titanium, bamboo",
        "keeps drinks cold for {12|24} hours; does not leak; fits a cup holder",
    ),
    _family(
        _OUTDOOR,
        36,
        "picnic blanket, ground mat, hammock, folding stool",
        "wool, ripstop, cotton, canvas",
        "rolls up with {a strap|buckles}; seats {two|four}; has a waterproof back",
    ),
    _family(
        _OUTDOOR,
        33,
        "cool bag, lunch box, hamper, food carrier",
        "cork, wicker, insulated felt, steel",
        "keeps food cold for {four|eight} hours; wipes clean; has {two|three} compartments",
    ),
    _family(
        _OUTDOOR,
        85,
        "weekend bag, holdall, suitcase, washbag",
        "leather, canvas, recycled polyester",
        "fits {the overhead locker|three days of clothes}; has a shoe pocket; locks",
    ),
    _family(
        _CLOTHES,
        28,
        "scarf, shawl, snood, neckerchief",
        "wool, silk, cashmere, cotton",
        "wraps twice round; is light as air; measures {180|200} cm",
    ),
    _family(
        _CLOTHES,
        55,
        "jumper, cardigan, sweatshirt, pullover",
        "lambswool, organic cotton, merino, alpaca",
        "has a {relaxed|neat} fit; is knitted in {Portugal|Scotland}; has deep cuffs",
    ),
    _family(
        _CLOTHES,
        26,
        "T-shirt, shirt, blouse, vest top",
        "organic cotton, linen, bamboo jersey",
        "runs true to size; is pre-washed; has {short|long} sleeves",
    ),
    _family(
        _CLOTHES,
        19,
        "tote bag, shopper, shoulder bag, clutch",
        "canvas, jute, leather, felt",
        "carries {groceries|books}; has an inside pocket; folds small",
    ),
    _family(
        _CLOTHES,
        12,
        "pair of socks, pair of tights, pair of slippers, pair of gloves",
        "wool, bamboo, cotton, merino",
        "comes in {three|four} sizes; has no tight seams; is sold by the pair",
        used_up=True,
    ),
    _family(
        _CLOTHES,
        39,
        "necklace, pair of earrings, bracelet, brooch",
        "silver, brass, resin, gold-plated",
        "comes {boxed|in a pouch}; is free of nickel; closes with a {clasp|hook}",
    ),
    _family(
        _KIDS,
        20,
        "soft toy, cuddly animal, rag doll, hand puppet",
        "plush, cotton, felt, corduroy",
        "is safe from birth; sits {20|30} cm high; goes in the washing machine",
    ),
    _family(
        _KIDS,
        17,
        "jigsaw puzzle, building blocks, board game, memory game",
        "beech, cardboard, cork",
        "has {24|48|100} pieces; is for ages {3|5} and up; trains small hands",
    ),
    _family(
        _KIDS,
        42,
        "cot quilt, swaddle, children's duvet set, play mat",
        "muslin, organic cotton, bamboo jersey",
        "breathes; fits a {cot|single} bed; grows softer with washing",
    ),
    _family(
        _KIDS,
        30,
        "night light, mobile, music box, growth chart",
        "beech, silicone, paper, felt",
        "plays a {lullaby|soft tune}; switches off by itself; runs on USB",
    ),
    _family(
        _PAPER,
        12,
        "notebook, journal, diary, sketchbook",
        "recycled paper, linen-bound, leather, kraft",
        "has {120|160} {ruled|dotted|blank} pages; lies flat; closes with elastic",
        used_up=True,
    ),
    _family(
        _PAPER,
        6,
        "greeting card, postcard set, notelet pack, invitation set",
        "cotton paper, recycled card, kraft",
        "comes with {an envelope|eight envelopes}; is blank inside; is letterpressed",
        used_up=True,
    ),
    _family(
        _PAPER,
        26,
        "pen set, pencil case, fountain pen, brush set",
        "brass, canvas, bamboo, aluminium",
        "writes smoothly; holds {twelve|twenty} pens; takes standard refills",
    ),
    _family(
        _PAPER,
        7,
        "wrapping paper, gift bag set, washi tape, sticker pack",
        "recycled paper, kraft, tissue, cotton",
        "covers {three|five} presents; can be recycled; comes with tags",
        used_up=True,
    ),
    _family(
        _BATH,
        8,
        "soap bar, hand wash, shampoo bar, body butter",
        "olive oil, shea, goat's milk, charcoal",
        "lathers {richly|gently}; is free of plastic; suits dry skin",
        used_up=True,
        pack="wrapper",
    ),
    _family(
        _BATH,
        15,
        "bath salts, bath bomb set, shower steamer, bath oil",
        "Epsom salt, lavender, eucalyptus, chamomile",
        "makes {six|ten} baths; turns the water milky; smells of {neroli|pine}",
        used_up=True,
        pack="jar",
    ),
    _family(
        _BATH,
        40,
        "towel set, bathrobe, bath mat, hammam towel",
        "cotton, waffle weave, linen, bamboo",
        "dries fast; weighs {500|600} gsm; is soft from the first wash",
    ),
    _family(
        _BATH,
        48,
        "yoga mat, meditation cushion, massage roller, eye pillow",
        "cork, natural rubber, buckwheat, cotton",
        "does not slip; comes with a strap; is {4|6} mm thick",
    ),
)

CATEGORIES: tuple[str, ...] = tuple(dict.fromkeys(family.category for family in FAMILIES))

# Names of no style, so that a brand says nothing about a look.
_BRANDS = (
    "Alderby,Amberley & Co,Arkwell,Bellhouse,Birchall,Bramwick,Calder Row,Castleton,Corvane,"
    "Dalewood,Denholm,Eastgate,Elmsworth,Fairlight,Farrow Lane,Fenwick Bros,Glenhaven,Halden,"
    "Harcourt,Hartwell,Henley & Fox,Ivy Court,Jessop,Kelso,Kestrel,Kingsmere,Langdale,Larkin,"
    "Linden Hall,Lowther,Marlowe,Merrow,Millbrook,Northcote,Oakley Yard,Orrin,Pemberton,"
    "Penhale,Quillon,Redfern,Rowan & Rye,Saltmarsh,Selwyn,Stanhope,Talbot,Thornbury,Tilbrook,"
    "Underhill,Vale & Sons,Wexcombe,Wharton,Whitby,Winslow,Wyndham,Yarrow,Zennor"
)
BRANDS: tuple[str, ...] = tuple(_BRANDS.split(","))
