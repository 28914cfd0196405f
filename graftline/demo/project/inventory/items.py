"""Items, and how they are read from text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """Something in stock; the price is in cents."""

    name: str
    price: int
    quantity: int


def parse_item(line: str) -> Item:
    """Read `name, price in cents, quantity`; spaces around the fields do not matter."""
    name, price, quantity = (field.strip() for field in line.split(","))
    return Item(name, int(price), int(quantity))
