"""Sequence to sequence: what was read is said in another sequence, token by token."""

from sknets.sequence_to_sequence._captioner import ImageCaptioner
from sknets.sequence_to_sequence._recognizer import SpeechRecognizer
from sknets.sequence_to_sequence._synthesizer import SpeechSynthesizer
from sknets.sequence_to_sequence._translator import Seq2SeqTranslator

__all__ = [
    "ImageCaptioner",
    "Seq2SeqTranslator",
    "SpeechRecognizer",
    "SpeechSynthesizer",
]
