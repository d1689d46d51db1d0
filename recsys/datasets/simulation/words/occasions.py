"""What an item is bought for: told by its text alone. In every line `{a|b}` is one of both."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Occasion:
    """A reason to buy, and the many ways a shop writes about it.

    Attributes:
        name: Its name in the truth; items need not use it.
        endings: What may close a title.
        lines: Sentences of a description.
        queries: What users type who look for it.
        frequent_in: Categories in which it is often found.
    """

    name: str
    endings: tuple[str, ...]
    lines: tuple[str, ...]
    queries: tuple[str, ...]
    frequent_in: tuple[str, ...]


OCCASIONS: tuple[Occasion, ...] = (
    Occasion(
        "wedding",
        ("for the bride", "for newlyweds", "for the top table", "for bridesmaids"),
        (
            "Made for {saying I do|the wedding day|walking down the aisle}.",
            "A keepsake for {the happy couple|bride and groom|your maid of honour}.",
            "On many a {gift list for newlyweds|honeymoon packing list}.",
            "Lovely beside {the tiered cake|vows and confetti|a bouquet}.",
        ),
        ("wedding gift", "bridal", "wedding"),
        ("Home Decor", "Kitchen & Pantry", "Stationery & Craft"),
    ),
    Occasion(
        "birthday",
        ("for a birthday", "for turning forty", "for the birthday girl"),
        (
            "Blow out the birthday candles, {then unwrap this|make a wish}.",
            "A winner for {turning thirty|another trip round the sun|a milestone year}.",
            "Sorted: the present for {a best friend's party|the one who has it all}.",
            "Another {birthday|year older}? Celebrate with this.",
        ),
        ("birthday present", "birthday", "gift for friend"),
        ("Clothing & Accessories", "Kids & Baby", "Stationery & Craft"),
    ),
    Occasion(
        "christmas",
        ("for the stocking", "for Christmas", "for under the tree", "for Advent"),
        (
            "Pop it {under the tree|in a stocking} and wait for Santa.",
            "As festive as {carols|mince pies|mulled wine}.",
            "Counts down to {Advent Sunday|Boxing Day} in style.",
            "For {Secret Santa|the twelve days of Yuletide}.",
        ),
        ("christmas", "stocking filler", "secret santa"),
        ("Home Decor", "Kitchen & Pantry", "Kids & Baby"),
    ),
    Occasion(
        "new baby",
        ("for the nursery", "for a new arrival", "for mum-to-be", "for a christening"),
        (
            "Welcomes {a little one|the newborn|tiny toes}.",
            "Always opened first at {the baby shower|a christening}.",
            "For {sleepy parents|the first weeks at home|proud godparents}.",
            "Sits beside the {cot|pram|changing table}.",
        ),
        ("baby shower", "newborn gift", "christening"),
        ("Kids & Baby", "Bath & Wellness"),
    ),
    Occasion(
        "camping",
        ("for the tent", "for campers", "for wild nights out", "for the campervan"),
        (
            "Pack it with {the tent and sleeping bag|marshmallows|the camping stove}.",
            "Earns its place {round the fire|in the van|under canvas}.",
            "Made for {sleeping under the stars|bivouacs|festival fields}.",
            "Pitches up anywhere: {woodland clearings|lakeside sites}.",
        ),
        ("camping", "campervan", "tent"),
        ("Outdoor & Travel", "Garden", "Clothing & Accessories"),
    ),
    Occasion(
        "dinner party",
        ("for hosting", "for the dinner table", "for a supper club", "for cheese night"),
        (
            "Sets the scene for {a supper with friends|three courses and good wine}.",
            "Dinner guests will {ask where you got it|linger over dessert}.",
            "Lay {the long table|places for eight}, dim the lights.",
            "A gift the {host|cook of the house} will not put away.",
        ),
        ("dinner party", "host gift", "entertaining"),
        ("Kitchen & Pantry", "Home Decor"),
    ),
    Occasion(
        "new home",
        ("for a new home", "for first-time buyers", "for a first flat"),
        (
            "Says welcome to {a first set of keys|your new address}.",
            "The {housewarming|moving-in} present that gets used.",
            "For the {first night in a new house|day the removal van leaves}.",
            "Makes a {new flat|freshly painted house} feel like home.",
        ),
        ("housewarming", "new home gift", "moving in"),
        ("Home Decor", "Garden", "Kitchen & Pantry"),
    ),
    Occasion(
        "home office",
        ("for the desk", "for the study", "for the office", "for video calls"),
        (
            "Gets you through {office deadlines|back-to-back meetings|spreadsheets}.",
            "Keeps {the laptop|your keyboard} company from nine to five.",
            "A friendly thing to have {in the study|while working from home}.",
            "For {a colleague's last day|the boss|freelancers}.",
        ),
        ("desk", "home office", "gift for colleague"),
        ("Stationery & Craft", "Home Decor", "Kitchen & Pantry"),
    ),
    Occasion(
        "self-care",
        ("for me-time", "for a spa night", "for slow Sundays", "for better sleep"),
        (
            "Lock the door, run the bath, {relax|unwind}.",
            "Part of {winding down|a bedtime ritual|a gentle yoga hour}.",
            "Melts the stress away, {like a spa day|like a good massage}.",
            "Because you deserve {some pampering|an evening of calm}.",
        ),
        ("relaxing", "spa gift", "pamper"),
        ("Bath & Wellness", "Home Decor"),
    ),
    Occasion(
        "student",
        ("for freshers", "for the classroom", "for a dorm room", "for exam season"),
        (
            "Survives {halls of residence|the school bag|three years at university}.",
            "For {the first day of term|graduates|revision nights}.",
            "Says thank you to {a favourite teacher|the lecturer}.",
            "Fits {a dorm shelf|a school locker|a student budget}.",
        ),
        ("student", "teacher gift", "back to school"),
        ("Stationery & Craft", "Clothing & Accessories"),
    ),
    Occasion(
        "holiday",
        ("for the cabin bag", "for city breaks", "for the poolside", "for frequent flyers"),
        (
            "Ready for {the departure lounge|a sleeper train|passport control}.",
            "Packs {flat in a suitcase|into hand luggage}.",
            "Goes along on holiday: {the pool|a weekend in Lisbon|the villa}.",
            "For {jet-setters|gap-year plans|whoever is already at the airport}.",
        ),
        ("travel", "holiday", "cabin luggage"),
        ("Outdoor & Travel", "Clothing & Accessories", "Bath & Wellness"),
    ),
    Occasion(
        "picnic",
        ("for picnics", "for the barbecue", "for long summer days", "for the park"),
        (
            "Add {strawberries|sandwiches|a hamper} and a patch of grass.",
            "Comes out with {the barbecue|croquet|the first sunny Sunday}.",
            "For {lazy lunches in the park|al fresco evenings}.",
            "Summer is {lemonade, picnics and this|a picnic on the lawn}.",
        ),
        ("picnic", "summer party", "barbecue"),
        ("Outdoor & Travel", "Garden", "Kitchen & Pantry"),
    ),
)
