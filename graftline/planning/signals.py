"""What speaks for a file being meant by a request: each signal by itself, as scores by the file's place in the corpus.

Scores of different signals do not compare; `ranking` scales and adds them up.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from graftline.planning.history import History
from graftline.planning.index import FileFacts, RepositoryIndex
from graftline.planning.words import WordTable, count_words, words_of

Scores = dict[int, float]

REQUEST_CHARS = 20_000
SUBJECT_WEIGHT = 2.0
"""What a word in the first line of a request counts for, against one in the rest."""
SIMILAR_COMMITS = 200
RECENT_COMMITS = 200
"""A file's last change loses two thirds of its weight over as many commits."""
FEW_CHANGES = 3
"""Added to the changes of a file, so that a file that changed once does not speak for all that changed with it."""
MAX_DEFINERS = 5
"""Files that define the same name: when more do, using it says little."""
MAX_TWINS = 6
MAX_MENTIONS = 50
MESSAGE_CHARS = 2_000
_SATURATION, _LENGTH_SHARE = 1.2, 0.75  # k1 and b of BM25, at their usual values
_COMMON_WORDS = """
    a about add added after all allow also an any are as at be because been before being but by can change changed
    changes could did do does doing done fix fixed fixes fixing for from had has have how i if improve in into is it
    its just like make makes may more most must need needs new no not now of on one only or other our out over
    remove removed removes same set should so some such support than that the their them then there these they this
    those to too up update updated updates use used uses using very via was we were what when where which while who
    why will with without would you your
"""
COMMON_WORDS = frozenset(word for common in _COMMON_WORDS.split() for word in words_of(common))
# Each begins where a word does and ends within bounds: a request may be made to hurt.
_FILE_NAME = re.compile(r"(?<![\w.\-/])[\w.\-/]{0,200}\w\.[A-Za-z]\w{0,4}\b")
_NAME = re.compile(r"(`\.?)?\b([A-Za-z_]\w{2,59})\b(\()?")
_TEST_AFFIX = re.compile(r"^(?:test[-_])|(?:[-_.]?(?:Tests?|tests?|[Ss]pec|TestCase))$")


def request_words(request: str) -> dict[str, float]:
    """The words of a request that tell something, and what each counts for."""
    subject, _, body = request[:REQUEST_CHARS].partition("\n")
    weights: defaultdict[str, float] = defaultdict(float)
    for text, weight in ((subject, SUBJECT_WEIGHT), (body, 1.0)):
        for word, count in count_words(text).items():
            if word not in COMMON_WORDS:
                weights[word] += weight * (1 + math.log(count))
    return dict(weights)


class Corpus:
    """The files of an index that can be meant by a request, with what every signal looks things up in."""

    def __init__(self, index: RepositoryIndex) -> None:
        self.files: Sequence[FileFacts] = [facts for facts in index.files.values() if not facts.skipped]
        self.places: Mapping[str, int] = {facts.path: place for place, facts in enumerate(self.files)}
        self.words = WordTable([facts.words for facts in self.files])
        self.names = WordTable([facts.names for facts in self.files])
        self.path_words: dict[str, dict[int, int]] = {}
        self.path_lengths: list[int] = []
        self.own_words: list[frozenset[str]] = []
        folder_words: dict[str, Counter[str]] = {}
        for place, facts in enumerate(self.files):
            folder, _, name = facts.path.rpartition("/")
            if folder not in folder_words:
                folder_words[folder] = count_words(folder.replace("-", "_"))
            own = words_of(_stem(name).replace("-", "_"))
            self.own_words.append(frozenset(own))
            counts = dict(folder_words[folder])
            for word in own:
                counts[word] = counts.get(word, 0) + 2  # a file's name says more than its folders'
            self.path_lengths.append(sum(counts.values()))
            for word, count in counts.items():
                self.path_words.setdefault(word, {})[place] = count
        self.definers: dict[str, list[int]] = {}
        for place, facts in enumerate(self.files):
            for name in dict.fromkeys(symbol.name for symbol in facts.definitions):
                self.definers.setdefault(name, []).append(place)


def by_text(corpus: Corpus, weights: Mapping[str, float]) -> Scores:
    """BM25 over the whole text of files."""
    return _bm25({word: corpus.words.occurrences(word) for word in weights}, weights, corpus.words.lengths)


def by_names(corpus: Corpus, weights: Mapping[str, float]) -> Scores:
    """BM25 over the names that files define."""
    return _bm25({word: corpus.names.occurrences(word) for word in weights}, weights, corpus.names.lengths)


def by_path(corpus: Corpus, weights: Mapping[str, float]) -> Scores:
    """BM25 over the words of paths."""
    postings = {word: corpus.path_words.get(word, {}) for word in weights}
    return _bm25(postings, weights, corpus.path_lengths)


def by_own_name(corpus: Corpus, weights: Mapping[str, float]) -> Scores:
    """The share of the words of a file's name that the request has."""
    hits = Counter(
        place for word in weights for place in corpus.path_words.get(word, ()) if word in corpus.own_words[place]
    )
    return {place: count / len(corpus.own_words[place]) for place, count in hits.items()}


def by_mention(corpus: Corpus, request: str) -> Scores:
    """Files whose name or path stands in the request; a path tells more than a name that several files have."""
    mentioned = dict.fromkeys(found.strip("./") for found in _FILE_NAME.findall(request[:REQUEST_CHARS]))
    scores: Scores = {}
    for mention in list(mentioned)[:MAX_MENTIONS]:
        same = [place for place, facts in enumerate(corpus.files) if f"/{facts.path}".endswith(f"/{mention}")]
        for place in same:
            scores[place] = max(scores.get(place, 0.0), 1 / len(same))
    return scores


def code_names(request: str) -> tuple[str, ...]:
    """The names in a request that are written as code: quoted, called, in CamelCase or with an underscore."""
    names = (
        name
        for quote, name, call in _NAME.findall(request[:REQUEST_CHARS])
        if quote or call or "_" in name.strip("_") or not (name.isupper() or name[1:].islower())
    )
    return tuple(dict.fromkeys(names))[:MAX_MENTIONS]


def by_definition(corpus: Corpus, names: Iterable[str]) -> Scores:
    """Files that define a name of the request; the fewer do, the more it tells."""
    return _shared_out({name: corpus.definers.get(name, ()) for name in names})


def by_use(corpus: Corpus, names: Iterable[str]) -> Scores:
    """Files that use a name of the request without defining it."""
    wanted = set(names)
    users: dict[str, list[int]] = {}
    for place, facts in enumerate(corpus.files):
        for name in sorted(wanted & facts.references.keys()):
            users.setdefault(name, []).append(place)
    return _shared_out(users)


def by_messages(corpus: Corpus, weights: Mapping[str, float], history: History) -> Scores:
    """Files that earlier commits touched whose messages are like the request; likeness counts by its cube."""
    messages = [_message_words(commit.message) for commit in history.commits]
    postings = {word: {place: words[word] for place, words in enumerate(messages) if word in words} for word in weights}
    likeness = _bm25(postings, weights, [words.total() for words in messages])
    similar = sorted(likeness, key=lambda place: (-likeness[place], place))[:SIMILAR_COMMITS]
    scores: defaultdict[int, float] = defaultdict(float)
    for commit in similar:
        touched = history.commits[commit].paths
        vote = (likeness[commit] / likeness[similar[0]]) ** 3
        for path in touched:
            if path in corpus.places:
                scores[corpus.places[path]] += vote / math.sqrt(len(touched))
    return dict(scores)


def by_recency(corpus: Corpus, history: History) -> Scores:
    """Files that were changed often and lately: they are changed again sooner than others."""
    scores: defaultdict[int, float] = defaultdict(float)
    for age, commit in enumerate(history.commits):
        for path in commit.paths:
            if path in corpus.places:
                scores[corpus.places[path]] += math.exp(-age / RECENT_COMMITS) / math.sqrt(len(commit.paths))
    return {place: math.log1p(score) for place, score in scores.items()}


def by_company(corpus: Corpus, seeds: Mapping[int, float], history: History) -> Scores:
    """Files that change together with the seeds, each of which has a weight."""
    scores: defaultdict[int, float] = defaultdict(float)
    for seed, weight in seeds.items():
        path = corpus.files[seed].path
        changes = len(history.touching([path]))
        for other, together in history.together(path).items():
            if other in corpus.places:
                scores[corpus.places[other]] += weight * together / (changes + FEW_CHANGES)
    return dict(scores)


def by_references(corpus: Corpus, seeds: Mapping[int, float]) -> Scores:
    """Files that the seeds import or use, and files that import or use them."""
    scores: defaultdict[int, float] = defaultdict(float)
    importers: defaultdict[int, list[int]] = defaultdict(list)
    wanted = {corpus.files[seed].path: seed for seed in seeds}
    defined: dict[str, float] = {}
    for seed, weight in seeds.items():
        for symbol in corpus.files[seed].definitions:
            definers = corpus.definers[symbol.name]
            if len(definers) <= MAX_DEFINERS:
                defined[symbol.name] = max(defined.get(symbol.name, 0.0), weight / len(definers))
    users: defaultdict[str, list[int]] = defaultdict(list)
    for place, facts in enumerate(corpus.files):
        for path in facts.imports:
            if path in wanted:
                importers[wanted[path]].append(place)
        for name in defined.keys() & facts.references.keys():
            users[name].append(place)
    for name in sorted(users):
        for place in users[name]:
            scores[place] += defined[name] / len(users[name])
    for seed, weight in seeds.items():
        for place in importers[seed]:
            scores[place] += weight / math.sqrt(len(importers[seed]))
    return dict(scores)


def by_twins(corpus: Corpus, seeds: Mapping[int, float]) -> Scores:
    """Files that go by the name of a seed but for what marks a test: `widget.py` and `test_widget.py`."""
    wanted = {_twin_name(corpus.files[seed].path): weight for seed, weight in reversed(list(seeds.items()))}
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, facts in enumerate(corpus.files):
        name = _twin_name(facts.path)
        if name in wanted:
            found[name].append(place)
    scores: Scores = {}
    for name, places in found.items():
        for place in places if 1 < len(places) <= MAX_TWINS else ():
            scores[place] = wanted[name] / (len(places) - 1)
    return scores


def _bm25(postings: Mapping[str, Mapping[int, int]], weights: Mapping[str, float], lengths: Sequence[int]) -> Scores:
    total = len(lengths)
    mean = sum(lengths) / total if total else 0.0
    scores: defaultdict[int, float] = defaultdict(float)
    for word, counts in postings.items():
        rarity = math.log(1 + (total - len(counts) + 0.5) / (len(counts) + 0.5))
        for place, count in counts.items():
            room = _SATURATION * (1 - _LENGTH_SHARE + _LENGTH_SHARE * lengths[place] / (mean or 1.0))
            scores[place] += weights[word] * rarity * count * (_SATURATION + 1) / (count + room)
    return dict(scores)


def _shared_out(places_by_name: Mapping[str, Sequence[int]]) -> Scores:
    scores: defaultdict[int, float] = defaultdict(float)
    for places in places_by_name.values():
        for place in places:
            scores[place] += 1 / math.sqrt(len(places))
    return dict(scores)


@lru_cache(maxsize=4_000)
def _message_words(message: str) -> Counter[str]:
    return count_words(message[:MESSAGE_CHARS])


def _stem(name: str) -> str:
    return name.lstrip(".").partition(".")[0]


def _twin_name(path: str) -> str:
    stem = _TEST_AFFIX.sub("", _stem(path.rpartition("/")[2]))
    return stem.lower().replace("_", "").replace("-", "")
