"""Which files a task will change, and what hangs together with them."""

from graftline.plan import TaskSpec
from graftline.planning.footprint import MAX_FILES, Link, Terrain
from tests.planning.grounds import NO_PAST, file, history_of, index_of

GROUND = Terrain(
    index_of(
        file("README.md"),
        file("shop/cart.py", imports=("shop/prices.py",), uses=("total",), size=10),
        file("shop/parts/list.py"),
        file("shop/parts/list_test.py"),
        file("shop/prices.py", defines=("total", "rate")),
        file("shopping.md"),
    ),
    history_of(("shop/cart.py", "shop/prices.py"), ("shop/cart.py", "shop/prices.py", "README.md"), ("shop/cart.py",)),
)


def files(*writes: str, prompt: str = "p") -> set[str]:
    return set(GROUND.footprint(TaskSpec(id="a", prompt=prompt, writes=writes)).files)


def test_patterns_mean_the_files_that_are_there_or_else_the_one_they_name() -> None:
    assert files("shop/cart.py", "shop/new.py") == {"shop/cart.py", "shop/new.py"}
    assert files("shop/parts", "new/folder") == {"shop/parts/list.py", "shop/parts/list_test.py", "new/folder"}
    assert files("shop/*.py") == {"shop/cart.py", "shop/prices.py"}
    assert files("**/{list,prices}.py") == {"shop/parts/list.py", "shop/prices.py"}
    assert files("shop/parts/*_test.py", "none/*.py") == {"shop/parts/list_test.py"}


def test_without_writes_the_prompt_may_name_files() -> None:
    prompt = "Make `shop/cart.py` (like shop/parts/list.py.) faster, not shop/nothing.py; see /etc/passwd and README"
    assert files(prompt=prompt) == {"shop/cart.py", "shop/parts/list.py"}
    assert files("shopping.md", prompt=prompt) == {"shopping.md"}
    assert files() == set()


def test_what_hangs_together_with_the_files() -> None:
    cart = GROUND.footprint_of(["shop/cart.py"])
    assert cart.partners == {
        "shop/prices.py": Link("shop/cart.py", 2 / 6, 2),
        "README.md": Link("shop/cart.py", 1 / 5, 1),
    }
    assert (cart.imports, cart.uses, cart.defines) == (
        {"shop/prices.py": "shop/cart.py"},
        {"total": "shop/cart.py"},
        {},
    )
    both = GROUND.footprint_of(["shop/parts/list.py", "shop/prices.py", "gone.py"])
    assert both.defines == {"total": "shop/prices.py", "rate": "shop/prices.py"}
    assert (GROUND.size("shop/cart.py"), GROUND.size("gone.py")) == (10, 0)


def test_of_a_large_folder_the_files_that_change_most_are_kept() -> None:
    many = [f"data/{number:04}" for number in range(2 * MAX_FILES)]
    busy = tuple(many[-3:])
    terrain = Terrain(index_of(*map(file, many)), history_of(busy, busy))
    footprint = terrain.footprint(TaskSpec(id="a", prompt="p", writes=("data",)))
    assert len(footprint.files) == MAX_FILES
    assert set(busy) < footprint.files
    assert set(many[:5]) < footprint.files


def test_an_empty_repository_has_footprints_too() -> None:
    terrain = Terrain(index_of(), NO_PAST)
    assert terrain.footprint_of(["new.py"]).files == {"new.py"}
