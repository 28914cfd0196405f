import pytest

from inventory.items import Item, parse_item


def test_reads_the_three_fields():
    assert parse_item("nut,5,100") == Item("nut", 5, 100)


def test_ignores_spaces_around_the_fields():
    assert parse_item(" steel nut , 5 , 100 ") == Item("steel nut", 5, 100)


def test_refuses_a_line_with_a_field_missing():
    with pytest.raises(ValueError):
        parse_item("nut,5")
