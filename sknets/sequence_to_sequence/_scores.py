"""How alike written texts are to true ones."""

from __future__ import annotations

from typing import Any


def text_scores(true: Any, found: Any) -> dict[str, float]:
    """BLEU and chrF of a corpus by sacrebleu, and the share of texts that are equal.

    Lists of tokens are taken as the words that they are.

    Raises
    ------
    ImportError
        Without sacrebleu.
    """
    try:
        import sacrebleu
    except ImportError as error:
        raise ImportError(
            "BLEU and chrF are sacrebleu's: pip install 'sknets[text]'"
        ) from error
    equal = sum(
        list(one) == list(other) for one, other in zip(true, found, strict=True)
    )
    listed = any(not isinstance(text, str) for text in true)
    true, found = ([_whole(text) for text in texts] for texts in (true, found))
    # Tokens are not to be cut again.
    cut = "none" if listed else "13a"
    bleu = sacrebleu.BLEU(tokenize=cut, force=True, effective_order=True)
    return {
        "bleu": bleu.corpus_score(found, [true]).score,
        "chrf": sacrebleu.CHRF().corpus_score(found, [true]).score,
        "exact": equal / len(true),
    }


def _whole(text: Any) -> str:
    return text if isinstance(text, str) else " ".join(text)


__all__ = ["text_scores"]
