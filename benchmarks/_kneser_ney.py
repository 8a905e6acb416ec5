"""Modified Kneser-Ney: what counts of n-grams say of the next token.

S. F. Chen, J. Goodman. An Empirical Study of Smoothing Techniques for Language
Modeling. Computer Speech & Language 13, 1999: interpolated, with three discounts an
order. ``python benchmarks/_kneser_ney.py`` checks that probabilities sum to one, and
with one given discount that they are those of nltk.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict


class KneserNey:
    """An n-gram model of sequences of tokens, each with its boundaries.

    Parameters
    ----------
    order : int
    n_tokens : int
        The size of the vocabulary.
    discount : float or None
        One for all; None: three an order, by the counts of counts.
    uniform : bool
        Whether single tokens are interpolated with equal probabilities.
    """

    def __init__(self, order, n_tokens, discount=None, uniform=True):
        self.order, self.n_tokens = order, n_tokens
        self.discount, self.uniform = discount, uniform

    def fit(self, texts):
        n = self.order
        counts = [Counter() for _ in range(n + 1)]
        for text in texts:
            for i in range(1, len(text)):
                for k in range(1, min(n, i + 1) + 1):
                    counts[k][tuple(text[i - k + 1 : i + 1])] += 1
        first = {text[0] for text in texts}
        # Below the highest order it counts how many tokens come before an n-gram; of
        # those that begin a text nothing does, and their own counts stay.
        for k in range(n - 1, 0, -1):
            before = Counter(gram[1:] for gram in counts[k + 1])
            for gram in counts[k]:
                if gram[0] not in first or k == 1:
                    before.setdefault(gram, 0)
                    counts[k][gram] = before[gram] or counts[k][gram]
        self.counts, self.totals, self.left, self.discounts = counts, [{}], [{}], [()]
        for k in range(1, n + 1):
            of = Counter(counts[k].values())
            y = of[1] / max(1, of[1] + 2 * of[2])
            found = [
                j - (j + 1) * y * of[j + 1] / of[j] if of[j] else 0.5 for j in (1, 2, 3)
            ]
            found = [min(max(d, 0.05), j) for j, d in zip((1, 2, 3), found)]
            if self.discount is not None:
                found = [self.discount] * 3
            totals, left = defaultdict(int), defaultdict(float)
            for gram, count in counts[k].items():
                totals[gram[:-1]] += count
                left[gram[:-1]] += found[min(count, 3) - 1]
            self.totals.append(totals)
            self.left.append(left)
            self.discounts.append(found)
        return self

    def probability(self, context, token):
        """Of a token after a tuple of at most order - 1 others."""
        p = 1 / self.n_tokens if self.uniform else 0.0
        for k in range(1, len(context) + 2):
            own = context[len(context) - k + 1 :]
            total = self.totals[k].get(own, 0)
            if not total:
                break
            count = self.counts[k].get((*own, token), 0)
            seen = count - self.discounts[k][min(count, 3) - 1] if count else 0.0
            left = self.left[k][own] if k > 1 or self.uniform else 0.0
            if k == 1 and not self.uniform:
                seen = count
            p = seen / total + left / total * p
        return p

    def perplexity(self, texts):
        log_p = n = 0
        for text in texts:
            for i in range(1, len(text)):
                context = tuple(text[max(0, i - self.order + 1) : i])
                log_p += math.log(self.probability(context, text[i]))
                n += 1
        return math.exp(-log_p / n)


def main():
    import random

    random.seed(0)
    texts = [
        [0, *random.choices(range(2, 6), k=random.randint(1, 9)), 1] for _ in range(40)
    ]
    for discount in (None, 0.1):
        model = KneserNey(3, 8, discount).fit(texts)
        for context in ((), (3,), (0, 2), (7, 7), (2, 3)):
            total = sum(model.probability(context, token) for token in range(8))
            assert abs(total - 1) < 1e-9, (context, total)
    from nltk.lm import KneserNeyInterpolated
    from nltk.util import everygrams

    named = [[str(token) for token in text] for text in texts]
    theirs = KneserNeyInterpolated(2, discount=0.1)
    theirs.fit([everygrams(text, max_len=2) for text in named], list("012345"))
    ours = KneserNey(2, 6, 0.1, uniform=False).fit(named)
    for context in "2345":
        for token in "12345":
            expected = theirs.score(token, [context])
            found = ours.probability((context,), token)
            assert abs(found - expected) < 1e-9, (context, token, found, expected)
    print("probabilities sum to one and are those of nltk")


if __name__ == "__main__":
    main()
