"""The house rules that a parser can check: floors, documentation, names."""

import ast
import dataclasses
import functools
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sknets
from sknets._estimator import Estimator

PACKAGE = Path(sknets.__file__).parent

# Modules that are not chapters (floor 3), by floor. A file imports from lower floors,
# or from its own within a group that is one part of the house.
FLOORS = {
    1: "_params _attempt _attention _augment _available _cells _decoding _differences "
    "_inputs _layers _losses _backbones _pictures _state _engine _scores _targets "
    "_catalogue _trunk _warn metrics",
    2: "_backtest _estimator _forecasting _in_images _per_step _persistent _reading "
    "_regressor _rolling _tasks _unsupervised",
    4: "comparison _comparison display persistence testing _sameness model_selection "
    "inspection datasets",
    5: "__init__ __main__",
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names.split()}
SAME_FLOOR_MAY_IMPORT = {1, 2, 4, 5}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


@functools.cache
def parsed(path):
    return ast.parse(path.read_text())


def teardown_module():
    parsed.cache_clear()  # a million objects, which garbage collection would visit


def part_of(path):
    """The top-level name below sknets that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """The parts of sknets that a file imports, anywhere in it."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "sknets"
        ):
            if node.module == "sknets":
                yield from (alias.name for alias in node.names)
            else:
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("sknets."):
                    yield alias.name.split(".")[1]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    part = part_of(path)
    floor = FLOOR_OF.get(part, 3)
    for other in imports(path):
        below = FLOOR_OF.get(other, 3)
        same = below == floor and (other == part or floor in SAME_FLOOR_MAY_IMPORT)
        assert below < floor or same, f"{path.name} (floor {floor}) imports {other}"


def test_there_are_no_cycles():
    def module_name(path):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        return name.removesuffix(".__init__")

    names = {module_name(path) for path in modules()}
    graph = {}
    for path in modules():
        edges = set()
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.module:
                edges.add(node.module)
                edges |= {f"{node.module}.{alias.name}" for alias in node.names}
        graph[module_name(path)] = (edges & names) - {"sknets", module_name(path)}
    done, path_ = set(), []

    def visit(name):
        assert name not in path_, " -> ".join([*path_, name])
        if name not in done:
            path_.append(name)
            for other in graph[name]:
                visit(other)
            path_.pop()
            done.add(name)

    for name in graph:
        visit(name)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_small(path):
    """The cap of 400 lines of code; docstrings are the user's and do not count."""
    tree = parsed(path)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = [
        node.body[0]
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node)
    ]
    lines = len(path.read_text().splitlines())
    lines -= sum(doc.end_lineno - doc.lineno + 1 for doc in docs)
    assert lines <= 400


ESTIMATORS = [
    value
    for value in (getattr(sknets, name) for name in sknets.__all__)
    if isinstance(value, type) and issubclass(value, Estimator)
]


def page(cls):
    """The docstrings that together tell of a class; the last one has the last word.

    A Regressor names its Classifier, "as in `sknets.X`", and tells what differs.
    """
    own = inspect.getdoc(cls)
    twins = re.findall(r"as in\s+`sknets\.(\w+)`", own)
    assert set(twins) <= {twin.__name__ for twin in ESTIMATORS}
    return [
        inspect.getdoc(Estimator),
        *(inspect.getdoc(getattr(sknets, twin)) for twin in twins),
        own,
    ]


def documented_parameters(doc):
    """Each parameter's default and the lines that tell of it."""
    entries = re.findall(r"^(\w+) : .*default=(.+)\n((?: .*\n)+)", doc, re.MULTILINE)
    return {name: (ast.literal_eval(default), text) for name, default, text in entries}


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_is_documented_with_its_default(cls):
    fields = {field.name: field.default for field in dataclasses.fields(cls)}
    documented = {}
    for doc in page(cls):
        documented |= documented_parameters(doc)
    for name, default in fields.items():
        assert name in documented, name
        assert documented[name][0] == default, name
    assert documented_parameters(inspect.getdoc(cls)).keys() <= fields.keys()


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_page_says_everything_once(cls):
    *others, own = map(documented_parameters, page(cls))
    for name, entry in own.items():
        assert entry not in [other.get(name) for other in others], name


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_class_cites_its_source_and_shows_an_example(cls):
    *_, own = docs = page(cls)
    assert "Examples\n--------" in own and f"from sknets import {cls.__name__}" in own
    sources = [doc for doc in docs[1:] if "References\n----------" in doc]
    assert sources and all(re.search(r"\b(19|20)\d\d\b", doc) for doc in sources)
    cited = set(re.findall(r"(?<!\.\. )\[(\d)\]_", own))
    assert cited == set(re.findall(r"^\.\. \[(\d)\] ", own, re.MULTILINE))


@pytest.mark.parametrize("name", [n for n in sknets.__all__ if n[0] != "_"])
def test_every_public_verb_is_documented(name):
    value = getattr(sknets, name)
    assert inspect.getdoc(value)
    for verb, member in vars(value).items() if isinstance(value, type) else ():
        if not verb.startswith("_") and callable(member):
            assert inspect.getdoc(getattr(value, verb)), f"{name}.{verb}"


def test_type_checkers_see_the_names_that_are_loaded_on_first_use():
    seen = []
    for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("sknets"):
            names = [alias.name for alias in node.names]
            all_of = importlib.import_module(node.module).__all__
            seen += all_of if names == ["*"] else names
    assert sorted([*seen, "__version__"]) == sorted(sknets.__all__)


def public_modules():
    return {name for name in map(part_of, modules()) if not name.startswith("_")}


def public_functions():
    """Functions, methods and properties that a user can reach, by their names."""
    for module in (sknets, *(getattr(sknets, name) for name in public_modules())):
        own = [n for n, v in vars(module).items() if inspect.getmodule(v) is module]
        for name in getattr(module, "__all__", own):
            value = getattr(module, name)
            yield name, value
            for cls in value.__mro__ if isinstance(value, type) else ():
                if cls.__module__.startswith("sknets"):
                    for verb, member in vars(cls).items():
                        member = getattr(member, "fget", member)
                        yield verb, getattr(member, "__func__", member)


def test_public_functions_have_types():
    for name, function in public_functions():
        if inspect.isfunction(function) and not name.startswith("_"):
            signature = inspect.signature(function)
            types = [p.annotation for p in signature.parameters.values()]
            is_method = next(iter(signature.parameters), "") in ("self", "cls")
            given = [*types[is_method:], signature.return_annotation]
            assert inspect.Parameter.empty not in given, function.__qualname__


def test_public_signatures_name_their_arguments():
    for name in sknets.__all__:
        value = getattr(sknets, name)
        if callable(value):
            kinds = [p.kind for p in inspect.signature(value).parameters.values()]
            assert inspect.Parameter.VAR_KEYWORD not in kinds, name


FRESH = """
import sys, warnings
warnings.simplefilter("error")
def loaded(*names): print(*(name for name in names if name in sys.modules), sep=", ")

import sknets
loaded("torch", "sklearn", "skorch", "pandas", "numpy", "matplotlib")
print(sknets.backpropagation.gradient_check.__name__)

import numpy as np
sknets.FeedforwardRegressor(max_epochs=1).fit(np.eye(9), np.arange(9.0))
loaded("torch_geometric", "torch._dynamo")

import sknets.graph
loaded("torch_geometric", "torch_geometric.datasets", "torch._dynamo")
"""


def test_names_are_loaded_on_first_use_and_without_others_news():
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.split("\n") == ["", "gradient_check", "", "torch_geometric", ""]


def test_public_modules_are_attributes():
    public = public_modules()
    assert {"backpropagation", "display", "feedforward", "testing"} <= public
    assert public <= set(dir(sknets))
    for name in public:
        assert getattr(sknets, name) is importlib.import_module(f"sknets.{name}")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'FeedForward'"):
        _ = sknets.FeedForward
    assert set(sknets.__all__) <= set(dir(sknets))


def test_top_level_modules_are_documented():
    for path in modules():
        assert ast.get_docstring(parsed(path)), path.name
