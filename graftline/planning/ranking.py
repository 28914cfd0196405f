"""Which files a request is about, best first.

Several weak signals, each scaled to its best file and added up with fixed weights: what BM25 over the text misses is
mostly said by the names of files, by commits whose messages are like the request, and by what changes lately. The best
files then vouch for their company: what changes with them, imports or uses them, and their tests. The weights were
found on four repositories and judged on others (docs/planning.md).
"""

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType

from graftline.planning import signals
from graftline.planning.history import History
from graftline.planning.signals import Corpus, Scores

SEEDS = 20
NOT_CODE = 0.6
"""What a file that is not code is worth: prose has the words of every request."""
WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "text": 1.0,
        "names": 0.5,
        "path": 1.0,
        "own_name": 0.2,
        "mention": 1.4,
        "definition": 0.5,
        "use": 1.0,
        "messages": 0.8,
        "recency": 0.5,
    }
)
COMPANY_WEIGHTS: Mapping[str, float] = MappingProxyType({"company": 0.3, "references": 0.35, "twins": 0.2})


def rank_files(request: str, *, corpus: Corpus, history: History) -> tuple[str, ...]:
    """The paths of the files that a request may be about, best first; files that nothing speaks for are left out."""
    words = signals.request_words(request)
    names = signals.code_names(request)
    scores = _sum(
        corpus,
        WEIGHTS,
        {
            "text": signals.by_text(corpus, words),
            "names": signals.by_names(corpus, words),
            "path": signals.by_path(corpus, words),
            "own_name": signals.by_own_name(corpus, words),
            "mention": signals.by_mention(corpus, request),
            "definition": signals.by_definition(corpus, names),
            "use": signals.by_use(corpus, names),
            "messages": signals.by_messages(corpus, words, history),
            "recency": signals.by_recency(corpus, history),
        },
    )
    best = _best_first(corpus, scores)[:SEEDS]
    seeds = {place: scores[place] / scores[best[0]] for place in best}
    company = _sum(
        corpus,
        COMPANY_WEIGHTS,
        {
            "company": signals.by_company(corpus, seeds, history),
            "references": signals.by_references(corpus, seeds),
            "twins": signals.by_twins(corpus, seeds),
        },
    )
    for place, score in company.items():
        scores[place] = scores.get(place, 0.0) + score
    return tuple(corpus.files[place].path for place in _best_first(corpus, scores))


def _sum(corpus: Corpus, weights: Mapping[str, float], scores_by_signal: Mapping[str, Scores]) -> Scores:
    """The weighted sum of signals, each scaled so that its best file has 1."""
    total: defaultdict[int, float] = defaultdict(float)
    for signal, scores in scores_by_signal.items():
        scaled = {place: score * (1.0 if corpus.files[place].language else NOT_CODE) for place, score in scores.items()}
        best = max(scaled.values(), default=0.0)
        for place, score in scaled.items():
            total[place] += weights[signal] * score / best
    return dict(total)


def _best_first(corpus: Corpus, scores: Scores) -> list[int]:
    return sorted(scores, key=lambda place: (-scores[place], corpus.files[place].path))
