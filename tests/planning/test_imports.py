"""Imports lead to the tracked files they mean, and to nothing else."""

import pytest

from graftline.planning.imports import ImportResolver, find_imports

PATHS = (
    "src/shop/__init__.py",
    "src/shop/cart.py",
    "src/shop/rates/__init__.py",
    "src/shop/rates/table.py",
    "web/load.ts",
    "web/util/index.js",
    "web/main.ts",
    "api/src/main/java/org/shop/Cart.java",
    "api/src/main/java/org/shop/Other.java",
    "lib/Shop/Cart/Cart.php",
    "other/Cart/Cart.php",
    "lib/Shop/Basket.php",
    "go/cart/cart.go",
    "go/cart/cart_test.go",
    "go/main.go",
    "crates/shop/src/lib.rs",
    "crates/shop/src/cart.rs",
    "crates/shop/src/cart/line.rs",
    "crates/web/src/main.rs",
    "include/cart.h",
    "source/cart.c",
    "source/own.h",
    "gem/lib/shop/cart.rb",
    "gem/lib/shop.rb",
)


@pytest.mark.parametrize(
    ("path", "language", "name", "targets"),
    [
        ("src/shop/cart.py", "python", "shop.rates.table.Rate", ("src/shop/rates/table.py",)),
        ("src/shop/cart.py", "python", "shop.rates.Rate", ("src/shop/rates/__init__.py",)),
        ("src/shop/cart.py", "python", ".rates.table", ("src/shop/rates/table.py",)),
        ("src/shop/rates/table.py", "python", "..cart.Cart", ("src/shop/cart.py",)),
        ("src/shop/rates/table.py", "python", "....beyond", ()),
        ("src/shop/cart.py", "python", "os.path", ()),
        ("web/main.ts", "typescript", "./load.js", ("web/load.ts",)),
        ("web/main.ts", "typescript", "./util", ("web/util/index.js",)),
        ("web/main.ts", "typescript", "../../outside", ()),
        ("api/A.java", "java", "org.shop.Cart", ("api/src/main/java/org/shop/Cart.java",)),
        ("api/A.java", "java", "org.shop.Cart.LIMIT", ("api/src/main/java/org/shop/Cart.java",)),
        ("api/A.java", "java", "org.elsewhere.Cart", ()),
        ("lib/Shop/Basket.php", "php", "Acme\\Shop\\Cart\\Cart", ("lib/Shop/Cart/Cart.php",)),
        ("lib/Shop/Basket.php", "php", "Cart\\Cart", ("lib/Shop/Cart/Cart.php",)),
        ("lib/Shop/Basket.php", "php", "Elsewhere\\Basket", ()),
        ("go/main.go", "go", "example.org/shop/go/cart", ("go/cart/cart.go",)),
        ("crates/shop/src/lib.rs", "rust", "mod cart", ("crates/shop/src/cart.rs",)),
        ("crates/shop/src/cart.rs", "rust", "mod line", ("crates/shop/src/cart/line.rs",)),
        ("crates/shop/src/cart.rs", "rust", "use self::line::Line", ("crates/shop/src/cart/line.rs",)),
        ("crates/shop/src/lib.rs", "rust", "use crate::cart::Cart", ("crates/shop/src/cart.rs",)),
        ("crates/web/src/main.rs", "rust", "use shop::cart::Cart", ("crates/shop/src/cart.rs",)),
        ("crates/web/src/main.rs", "rust", "use serde::Serialize", ()),
        ("source/cart.c", "c", "own.h", ("source/own.h",)),
        ("source/cart.c", "c", "cart.h", ("include/cart.h",)),
        ("gem/lib/shop.rb", "ruby", "shop/cart", ("gem/lib/shop/cart.rb",)),
        ("gem/lib/shop.rb", "ruby", "json", ()),
    ],
)
def test_an_import_leads_to_the_file_it_means(path: str, language: str, name: str, targets: tuple[str, ...]) -> None:
    assert ImportResolver(PATHS).resolve(path, language, [name, name]) == targets


def test_python_statements_in_all_their_forms() -> None:
    text = (
        "import os, shop.cart as cart  # both\nfrom . import rates\nfrom .rates import (\n    table,  # one\n"
        "    other as another,\n)\nfrom shop import *\nif True:\n    import late\n"
    )

    assert find_imports("python", text) == (
        "os",
        "shop.cart",
        ".rates",
        ".rates.table",
        ".rates.other",
        "shop",
        "late",
    )


def test_a_file_never_imports_itself() -> None:
    assert ImportResolver(PATHS).resolve("src/shop/cart.py", "python", ["shop.cart"]) == ()
