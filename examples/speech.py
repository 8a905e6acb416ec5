"""Speech: telephone numbers are dialled from digits, and read from the tones.

Saves speech.png; `--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sknets import AttentionDisplay, SpeechRecognizer, SpeechSynthesizer

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few numbers and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

RATE = 4000
KEYS = {key: (i // 3, i % 3) for i, key in enumerate("123456789*0#")}
LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477)  # a key's row, its column
random = np.random.default_rng(0)


def dial(number):
    """Two tones a key, some longer than others, with a little noise of the line."""
    sounds = []
    for key in number:
        row, column = KEYS[key]
        time = np.arange(int(RATE * random.uniform(0.07, 0.09))) / RATE
        tones = [np.sin(2 * np.pi * f * time) for f in (LOW[row], HIGH[column])]
        sounds += [np.zeros(RATE // 25), tones[0] + tones[1]]
    wave = np.concatenate([*sounds, np.zeros(RATE // 20)])
    return wave + random.normal(0, 0.03, len(wave))


n, epochs = (30, 2) if options.quick else (300, 40)
texts = ["".join(random.choice([*"0123456789"], size)) for size in [1, 2, 3] * n]
X, y = texts[:n], [dial(text) for text in texts[:n]]
new = sorted(set(texts[n:]) - set(X))[:50]

# 1. From sound to text: the recogniser hears what was dialled.
params = {"sample_rate": RATE, "lr": 0.01, "max_epochs": epochs, "random_state": 0}
listener = SpeechRecognizer(augment=None, hidden_size=32, **params).fit(y, X)
print(f"heard right: {listener.score([*map(dial, new)], new):.2f}")

# 2. From text to sound: what the network dials, the recogniser reads.
speaker = SpeechSynthesizer(cell="gru", width=96, batch_size=16, **params).fit(X, y)
print(f"dialled right: {listener.score(speaker.predict(new), new):.2f}")

# 3. A recording, what is said instead, and which digit each moment is said by.
text = "407"
figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
waves = {"recorded": dial(text), "synthesised": speaker.predict([text])[0]}
for axis, (title, wave) in zip(axes, waves.items()):
    axis.specgram(wave / wave.std(), NFFT=128, noverlap=96, Fs=RATE, vmin=-90)
    axis.set(title=f'"{text}" {title}', xlabel="seconds", ylabel="hertz")
AttentionDisplay.from_estimator(speaker, text, ax=axes[2])
axes[2].set(ylabel="is said", aspect="auto")
figure.savefig(options.output / "speech.png", dpi=120)
