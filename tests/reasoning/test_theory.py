from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from api.cli import main
from kg.errors import InputError
from reasoning.traffic.theory import TheoryBook, load_theory
from reasoning.traffic.theory_evaluation import evaluate_theory, read_statements, split_by_topic
from reasoning.traffic.theory_facts import settled
from reasoning.traffic.theory_judge import SHIPPED, Statement, TheoryJudge, TheoryWeights, train_theory

_STATEMENTS = Path(__file__).parents[3] / "shared/data/traffic/quizpatente/public.jsonl"
HUMP, BUSES, LORRIES = "segnali-pericolo.dosso", "segnali-divieto.divieto-transito-autobus", "segnali-divieto"


@pytest.fixture(scope="module")
def book() -> TheoryBook:
    return load_theory()


@pytest.fixture(scope="module")
def judge(book: TheoryBook) -> TheoryJudge:
    return TheoryJudge(book, TheoryWeights.load())


@pytest.mark.parametrize(
    ("statement", "topic", "true"),
    [
        ("Il segnale raffigurato vieta il transito agli autobus", BUSES, True),
        ("Il segnale raffigurato consente il transito agli autobus", BUSES, False),
        ("Il segnale raffigurato non consente il transito ai pullman", BUSES, True),
        ("Il segnale raffigurato vieta il transito alle biciclette", BUSES, False),
        ("Il segnale raffigurato consente il transito alle biciclette", BUSES, True),
        ("Il segnale raffigurato vieta il transito agli autotreni", f"{LORRIES}.transito-mezzi-pesanti", True),
        ("Il segnale raffigurato vieta il transito agli autocarri", f"{LORRIES}.transito-mezzi-pesanti", None),
        ("Il segnale raffigurato vieta il transito agli autobus di notte", BUSES, None),
        ("Il segnale raffigurato vieta la sosta agli autobus", BUSES, None),
        ("Il segnale raffigurato è un segnale di pericolo", HUMP, True),
        ("Il segnale raffigurato non è un segnale di pericolo", HUMP, False),
        ("Il segnale raffigurato è un segnale di divieto", HUMP, False),
        ("Il segnale raffigurato è un segnale di prescrizione", BUSES, True),
    ],
)
def test_facts_settle_what_they_speak_of_and_nothing_else(
    book: TheoryBook, statement: str, topic: str, true: bool | None
) -> None:
    found = settled(book, statement, topic)
    assert (found.true if found else None) == true


def test_an_answer_cites_topic_and_article(judge: TheoryJudge) -> None:
    answer = judge.judge("Il segnale raffigurato preannuncia una cunetta", HUMP)
    assert not answer.true
    assert answer.from_graph
    assert not answer.citations[0].supports
    assert all(cited.articles and cited.topic.startswith("theory:segnali-pericolo") for cited in answer.citations)


def test_an_unknown_topic_is_judged_by_its_category_and_an_unknown_category_refused(judge: TheoryJudge) -> None:
    answer = judge.judge("Il segnale raffigurato è un segnale di pericolo", "segnali-pericolo.mai-visto")
    assert answer.true
    assert answer.from_graph
    with pytest.raises(InputError, match="in no category"):
        judge.judge("Piove", "cucina.pasta")
    with pytest.raises(InputError, match="empty"):
        judge.judge(" ", HUMP)


def test_weights_are_learned_kept_and_read(book: TheoryBook, tmp_path: Path) -> None:
    said = [
        Statement("1", HUMP, "preannuncia un dosso", True, True),
        Statement("2", HUMP, "preannuncia una galleria", True, False),
        Statement("3", BUSES, "indica corsia riservata agli autobus", True, False),
        Statement("4", BUSES, "vieta il transito ai pullman di linea", True, True),
    ]
    learned = train_theory(book, said, "four")
    learned.save(tmp_path / "w.json")
    again = TheoryJudge(book, TheoryWeights.load(tmp_path / "w.json"))
    for each in said:
        one, other = TheoryJudge(book, learned).judge(each.text, each.topic), again.judge(each.text, each.topic)
        assert one.probability == pytest.approx(other.probability, abs=0.01)
        assert one.true == each.true
    with pytest.raises(InputError, match="the truth is missing"):
        train_theory(book, [Statement("here:1", HUMP, "x")], "none")
    with pytest.raises(InputError, match="nothing to learn"):
        train_theory(book, said[:1], "one")
    broken = tmp_path / "b.json"
    broken.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="no weights"):
        TheoryWeights.load(broken)


def test_no_topic_is_on_both_sides() -> None:
    statements = [Statement(str(n), f"a.{n % 10}", "x", true=True) for n in range(100)]
    kept, apart = split_by_topic(statements, 0.2, 3)
    assert len(apart) == 20
    assert not {each.topic for each in kept} & {each.topic for each in apart}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "is no JSON"),
        ("[]", "is no object"),
        ('{"category": "a", "topic": "b"}', "statement"),
        ('{"category": "a", "topic": "b", "statement": "c", "answer": 1}', "true or false"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(InputError, match=problem) as caught:
        read_statements(path)
    assert f"{path}:1" in str(caught.value)


@pytest.mark.parametrize(
    ("turtle", "problem"),
    [
        ("a", "no Turtle"),
        ("<http://x/a> <http://x/b> 1 .", "no eg:TheoryTopic"),
        ("theory:a a eg:TheoryTopic .", "prefLabel"),
        ('theory:a a eg:TheoryTopic ; skos:prefLabel "A"@it .', "topicKind"),
        ('theory:a.b a eg:TheoryTopic ; skos:prefLabel "B"@it .', "its category"),
        (
            'theory:a a eg:TheoryTopic ; skos:prefLabel "A"@it ; eg:topicKind "k" ; eg:article "1" ; eg:bars eg:x .',
            "no eg:RoadUserKind",
        ),
    ],
)
def test_bad_knowledge_is_named(tmp_path: Path, turtle: str, problem: str) -> None:
    path = tmp_path / "own.ttl"
    prefixes = (
        "@prefix eg: <https://w3id.org/evigraph/> .\n@prefix theory: <https://w3id.org/evigraph/theory/> .\n"
        "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
    )
    path.write_text(prefixes + turtle, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        load_theory([path])


@pytest.mark.skipif(not _STATEMENTS.is_file(), reason="the statements are not here")
def test_knowledge_is_worth_more_than_wording(book: TheoryBook) -> None:
    kept, apart = split_by_topic([each for each in read_statements(_STATEMENTS) if each.sign], 0.2, 7)
    report = evaluate_theory(TheoryJudge(book, train_theory(book, kept, "signs")), apart)
    assert report.whole.accuracy > 0.68
    assert report.whole.accuracy_from_graph > 0.72


def test_commands(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0
        return capfd.readouterr().out

    said = orjson.loads(
        run("quiz", "Il segnale raffigurato vieta il transito agli autobus", "--topic", BUSES, "--json")
    )
    assert said["true"]
    assert said["from_graph"]
    path = tmp_path / "s.jsonl"
    lines = [
        {"category": "segnali-pericolo", "topic": "dosso", "img": "/1.png", "statement": text, "answer": true}
        for text, true in (("preannuncia un dosso", True), ("preannuncia una galleria", False))
    ]
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    run("train", "quiz", str(path), "--out", str(tmp_path / "w.json"))
    measured = orjson.loads(run("evaluate", "quiz", str(path), "--weights", str(tmp_path / "w.json"), "--json"))
    assert (measured["n"], measured["accuracy"]) == (2, 1.0)
    assert SHIPPED.is_file()
