from __future__ import annotations

import itertools
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="needs the extra `models`")

from api.cli import main  # noqa: E402
from encoders.tokens.conll import Sentence, read_conll, spans  # noqa: E402
from encoders.tokens.crf import Crf, may_follow  # noqa: E402
from encoders.tokens.evaluation import tag_report  # noqa: E402
from encoders.tokens.spelling import LONGEST, characters_of, shape_of  # noqa: E402
from encoders.tokens.tagger import TokenTagger  # noqa: E402
from encoders.tokens.training import TaggerSettings, train_tagger  # noqa: E402
from encoders.tokens.windows import CutSentence, windows_of  # noqa: E402
from kg.errors import InputError  # noqa: E402
from tests.support.commands import run_json  # noqa: E402

WORDS = ("the", "in", "lives", "works", "saw", "and", "for", "anna", "berlin", "paris", "siemens", "##s", "##n", ".")
PEOPLE, PLACES = ("Anna", "Otto Hahn", "Lise Meitner"), ("Berlin", "Paris", "New York")
FIRMS = ("Siemens", "IBM", "SAP")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A transformer of the usual form, small and untrained: what is tested is what stands on it."""
    folder = tmp_path_factory.mktemp("backbone")
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{one}" for one in letters)]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)), encoding="utf-8")
    tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True)
    tokenizer.save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    return str(folder)


def sentences(count: int, seed: int) -> list[Sentence]:
    random = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        person, place, firm = (
            of[int(torch.randint(len(of), (1,), generator=random))].split() for of in (PEOPLE, PLACES, FIRMS)
        )
        words = [*person, "works", "for", *firm, "in", *place, "."]
        tags = [*_bio(person, "PER"), "O", "O", *_bio(firm, "ORG"), "O", *_bio(place, "LOC"), "O"]
        found.append(Sentence(tuple(words), tuple(tags)))
    return found


def _bio(words: list[str], kind: str) -> list[str]:
    return [f"{'I' if at else 'B'}-{kind}" for at in range(len(words))]


SETTINGS = TaggerSettings(epochs=6, rate=2e-3, head_rate=1e-2, window=48, context=12)


def test_a_tagger_learns_is_kept_and_finds_entities_in_text(backbone: str, tmp_path: Path) -> None:
    tagger = train_tagger(sentences(60, 0), sentences(20, 1), backbone, SETTINGS)
    asked = sentences(20, 2)
    told = tagger.tag(asked)
    assert tag_report([one.tags for one in asked], told)["span_f1"] > 0.95
    tagger.save(tmp_path)
    assert not list(tmp_path.rglob("*.bin"))
    again = TokenTagger.load(tmp_path)
    assert again.tag(asked) == told
    text = "Lise Meitner works for IBM in New York. Anna works for Siemens in Paris."
    (found,) = again.encode([text])
    assert [(one.words, one.kind) for one in found][:3] == [
        ("Lise Meitner", "PER"),
        ("IBM", "ORG"),
        ("New York", "LOC"),
    ]
    assert all(text[one.start : one.end] == one.words and 0 < one.confidence <= 1 for one in found)
    assert again.encode([""]) == [[]]
    assert again.encode(["Hi there. " + "中" * 600 + "。 Bye now."])
    assert again.encode([text, "", text]) == [found, [], found]  # texts do not depend on one another


@pytest.mark.parametrize("method", ["lora", "head"])
def test_few_weights_can_be_trained(backbone: str, tmp_path: Path, method: str) -> None:
    before = transformers.AutoModel.from_pretrained(backbone).state_dict()
    settings = TaggerSettings(method, epochs=2, rate=2e-3, window=48, context=12)  # type: ignore[arg-type]
    tagger = train_tagger(sentences(30, 0), sentences(10, 1), backbone, settings)
    assert tagger.card["trained"] < tagger.card["parameters"]
    tagger.save(tmp_path)
    again = TokenTagger.load(tmp_path)
    assert again.tag(sentences(5, 3)) == tagger.tag(sentences(5, 3))
    same = all(torch.equal(again.model.backbone.state_dict()[name], weight) for name, weight in before.items())
    assert same == (method == "head")


def test_a_stopped_training_goes_on_as_if_it_had_not_been(backbone: str, tmp_path: Path) -> None:
    learned, judged = sentences(30, 0), sentences(10, 1)
    settings = TaggerSettings(epochs=3, rate=2e-3, window=48, context=12)
    whole = train_tagger(learned, judged, backbone, settings)

    class Stop(Exception):  # noqa: N818
        pass

    def stop(_what: str, done: int, of: int) -> None:
        if done >= of * 0.7:
            raise Stop

    with pytest.raises(Stop):
        train_tagger(learned, judged, backbone, settings, stop, checkpoint=tmp_path)
    assert (tmp_path / "state.json").exists()
    steps: list[int] = []
    resumed = train_tagger(
        learned, judged, backbone, settings, lambda _what, done, _of: steps.append(done), checkpoint=tmp_path
    )
    assert min(steps) > 0
    assert not tmp_path.exists()
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_scores_of_tags_are_those_of_all_ways() -> None:
    tags = ["O", "B-X", "I-X"]
    crf = Crf(tags)
    torch.manual_seed(1)
    torch.nn.init.normal_(crf.transitions)
    scores = torch.randn(1, 4, 3)
    step = (crf.transitions + crf.forbidden).detach()

    def score(way: tuple[int, ...]) -> float:
        inner = sum(float(step[a, b]) for a, b in itertools.pairwise(way))
        return (
            inner
            + float(step[3, way[0]] + step[way[-1], 4])
            + sum(float(scores[0, at, tag]) for at, tag in enumerate(way))
        )

    ways = list(itertools.product(range(3), repeat=4))
    all_ways = torch.logsumexp(torch.tensor([score(way) for way in ways]), 0)
    best = max(ways, key=score)
    lengths = torch.tensor([4])
    loss = crf.loss(scores, torch.tensor([best]), lengths).detach()
    assert float(loss) == pytest.approx(float(all_ways) - score(best), abs=1e-3)
    assert crf.best(scores, lengths) == [list(best)]
    assert all(may_follow(tags[a], tags[b]) for a, b in itertools.pairwise(best))
    shares = torch.zeros(4, 3)
    for way in ways:
        for at, tag in enumerate(way):
            shares[at, tag] += torch.exp(torch.tensor(score(way)) - all_ways)
    assert torch.allclose(crf.marginals(scores, lengths)[0], shares, atol=1e-4)
    padded = torch.cat([scores, torch.randn(1, 2, 3)], 1)
    assert crf.best(padded, lengths) == [list(best)]
    assert torch.allclose(crf.loss(padded, torch.tensor([[*best, 0, 0]]), lengths), loss, atol=1e-4)


def test_windows_ask_for_each_sentence_once() -> None:
    pieces = [
        CutSentence([0] * length, [0] * length, [0], torch.zeros(1, LONGEST), []) for length in (5, 9, 3, 60, 4, 4)
    ]
    for skip in (0, 7):
        windows = windows_of(pieces, 24, 6, skip)
        assert [at for window in windows for at in window.asked] == list(range(6))
        assert all(set(window.asked) <= set(window.sentences) for window in windows)
    assert windows_of([], 24, 6) == []
    for window in windows_of(pieces, 24, 30):  # what is asked for may be too long, what is read with it never
        length = 1 + sum(len(pieces[at].pieces) + 1 for at in window.sentences)
        assert length <= 24 or window.sentences == window.asked


def test_words_are_spelled() -> None:
    assert len({shape_of(word) for word in ("lower", "Title", "UPPER", "miXed", "12.3", "A4", "A", "--")}) == 8
    assert characters_of("x" * 60).shape == (LONGEST,)
    assert characters_of("中文").min() >= 0
    assert spans(["B-A", "I-A", "B-A", "O", "I-B", "I-C"]) == [(0, 2, "A"), (2, 3, "A"), (4, 5, "B"), (5, 6, "C")]


def test_lines_are_read_or_refused_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("-DOCSTART- O\n\nEU B-ORG 0\nsays O 0\n\n\nHi O\n", encoding="utf-8")
    assert read_conll(path) == [Sentence(("EU", "says"), ("B-ORG", "O")), Sentence(("Hi",), ("O",))]
    for text, message in (
        ("EU\n", "a.conll:1: no tag after 'EU'"),
        ("EU B-FOO\n", "a.conll:1: tag 'B-FOO' is none of O, B-ORG"),
        ("\n\n", "holds no sentence"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_conll(path, ("O", "B-ORG"))
    path.write_bytes(b"EU \xff\n")
    with pytest.raises(InputError, match="byte 3 is 0xff"):
        read_conll(path)


def test_commands(capfd: pytest.CaptureFixture[str], backbone: str, tmp_path: Path) -> None:
    for name, seed in (("train", 0), ("valid", 1)):
        lines = ("\n".join(f"{w} {t} 0" for w, t in zip(s.words, s.tags, strict=True)) for s in sentences(20, seed))
        (tmp_path / name).write_text("\n\n".join(lines), encoding="utf-8")
    both = ["--train", str(tmp_path / "train"), "--valid", str(tmp_path / "valid"), "--backbone", backbone]
    out = str(tmp_path / "out")
    run = ["train", "tokens", *both, "--out", out, "--epochs", "1", "--rate", "0.002", "--json"]
    assert run_json(capfd, *run)["epochs_run"] == 1
    report = run_json(capfd, "evaluate", "ner", str(tmp_path / "valid"), "--model", out, "--json")
    assert report["tokens"] == sum(len(one.words) for one in sentences(20, 1))
    assert {"precision", "recall", "f1"} == set(report["micro"])
    assert set(report["labels"]) >= {"O", "B-PER", "I-LOC"}
    tuned = run_json(capfd, "tune", "tokens", *both, "--trials", "2", "--epochs", "1", "--sentences", "10", "--json")
    assert len(tuned["trials"]) == 2
    with pytest.raises(SystemExit):
        main(["evaluate", "ner", str(tmp_path / "valid"), "--model", str(tmp_path)])
    assert "no tagger" in capfd.readouterr().err
