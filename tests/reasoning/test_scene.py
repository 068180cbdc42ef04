"""Scenes: rules as data, what settles their conflicts, and no instruction on no evidence."""

import json
from pathlib import Path

import pytest

from kg.errors import InputError
from reasoning.traffic.detections import DetectedBox
from reasoning.traffic.experience import MANOEUVRES, SHIPPED, Weights
from reasoning.traffic.experience_training import train_concepts, train_words
from reasoning.traffic.firing import fire, settle
from reasoning.traffic.rules import RuleBook, load_rules
from reasoning.traffic.scene import Manoeuvre, Observation, SceneAnswer, SceneEvidence, judge
from reasoning.traffic.scene_cases import SceneCase, read_cases
from reasoning.traffic.scene_evaluation import evaluate_scenes
from reasoning.traffic.scenes import SceneJudge

_SCENES = Path(__file__).parents[3] / "shared/data/traffic/bddoia/gt_4a_21r_val.json"
_AHEAD = (0.45, 0.4, 0.6, 0.9)
_ASIDE = (0.0, 0.4, 0.1, 0.6)
_RULE = """
@prefix eg: <https://w3id.org/evigraph/> . @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
<https://w3id.org/evigraph/rule/own> a eg:TrafficRule ; skos:prefLabel "Own" ; eg:wording "Own wording." ;
    eg:article "House rule 1" ; eg:authority <https://w3id.org/evigraph/authority/sign> ;
    eg:matter <https://w3id.org/evigraph/matter/direction> ; eg:strength {strength} ;
    eg:when <https://w3id.org/evigraph/scene/{when}> ; eg:forbids <https://w3id.org/evigraph/manoeuvre/u-turn> .
"""


@pytest.fixture(scope="module")
def scenes() -> SceneJudge:
    return SceneJudge.load()


@pytest.fixture(scope="module")
def book(scenes: SceneJudge) -> RuleBook:
    return scenes.book


def _verdicts(answer: SceneAnswer) -> dict[str, str]:
    return {one.id.removeprefix("manoeuvre/"): one.verdict for one in answer.manoeuvres}


def _of(answer: SceneAnswer, name: str) -> Manoeuvre:
    return next(one for one in answer.manoeuvres if one.id == f"manoeuvre/{name}")


def test_every_rule_has_an_article_and_a_wording_and_speaks_of_things_that_can_be_seen(book: RuleBook) -> None:
    assert len(book.rules) > 30
    for rule in book.rules:
        assert rule.wording, rule.id
        assert rule.articles, rule.id
        asked = [concept for concept in book.concepts.values() if {*book.general[concept.id]} & {*rule.when}]
        assert any(concept.phrases or concept.object_labels or concept.names for concept in asked), rule.id


def test_an_officer_goes_before_a_light_and_a_light_before_a_sign(scenes: SceneJudge) -> None:
    waved = scenes.judge(sentence="An officer waves us on although the light is red").answer
    assert _verdicts(waved)["forward"] == "allowed"
    assert _verdicts(waved)["stop"] == "open"
    assert "officer goes before traffic light" in {conflict.because for conflict in waved.conflicts}
    green = scenes.judge(flags=["green light", "stop sign"]).answer
    assert _verdicts(green)["forward"] == "allowed"
    assert _of(green, "give-way").required < 0.5
    alone = scenes.judge(flags=["stop sign"]).answer
    assert {"stop", "give-way"} <= {name for name, verdict in _verdicts(alone).items() if verdict == "required"}


def test_no_light_permits_to_drive_into_somebody(scenes: SceneJudge) -> None:
    answer = scenes.judge(flags=["green light"], boxes=[DetectedBox("person", 0.9, _AHEAD)]).answer
    assert _verdicts(answer)["slow-or-stop"] == "required"
    assert _verdicts(answer)["forward"] == "forbidden"
    aside = scenes.judge(flags=["green light"], boxes=[DetectedBox("person", 0.9, _ASIDE)]).answer
    assert _verdicts(aside)["forward"] == "allowed"


def test_equal_ranks_are_settled_by_the_stricter(scenes: SceneJudge) -> None:
    answer = scenes.judge(flags=["red light", "green light"]).answer
    assert _verdicts(answer)["forward"] == "forbidden"
    assert any("the stricter holds" in conflict.because for conflict in answer.conflicts)


def test_beliefs_of_detections_propagate(scenes: SceneJudge) -> None:
    sure, unsure = (
        _of(scenes.judge(boxes=[DetectedBox("traffic light red", confidence)]).answer, "stop").required
        for confidence in (0.9, 0.3)
    )
    strength = next(rule.strength for rule in scenes.book.rules if rule.id == "rule/red-light")
    assert sure == pytest.approx(0.9 * strength)
    assert unsure == pytest.approx(0.3 * strength)
    two = scenes.judge(boxes=[DetectedBox("traffic light red", 0.3), DetectedBox("red light", 0.3)]).answer
    assert _of(two, "stop").required == pytest.approx((1 - 0.7**2) * strength)


def test_chains_lead_from_effect_to_evidence(scenes: SceneJudge) -> None:
    sentence = "the light turned green but a pedestrian is crossing"
    answer = scenes.judge(sentence=sentence).answer
    rules = {rule.id: rule for rule in answer.rules}
    for one in answer.manoeuvres:
        assert one.rules
        for rule in one.rules:
            assert rules[rule].articles
            assert rules[rule].evidence
    for seen in answer.evidence:
        assert sentence[seen.start : seen.end] == seen.shown
    assert "[" in answer.instruction


@pytest.mark.parametrize(
    ("sentence", "shows"),
    [
        ("there is no traffic ahead", {"scene/road-clear"}),
        ("no pedestrian is crossing", set()),
        ("the light isn't red", set()),
        ("as the light is red and traffic is waiting", {"scene/red-light"}),
        ("前方红灯", {"scene/red-light"}),
        ("没有红灯", set()),
        ("the sky is blue", set()),
        ("", set()),
    ],
)
def test_sentences_are_read_with_their_negations(scenes: SceneJudge, sentence: str, shows: set[str]) -> None:
    answer = scenes.judge(flags=[], sentence=sentence).answer
    fired = {rule.id for rule in answer.rules}
    expected = {"scene/road-clear": "rule/free-road", "scene/red-light": "rule/red-light"}
    assert {expected[name] for name in shows} <= fired
    assert shows or not fired


def test_nothing_seen_gives_no_instruction(scenes: SceneJudge) -> None:
    for judged in (
        scenes.judge(),
        scenes.judge(sentence="The sky is blue."),
        scenes.judge(boxes=[DetectedBox("x", 1)]),
    ):
        assert judged.answer.instruction == ""
        assert "no evidence" in judged.answer.abstains
        assert not judged.experience
    unsure = scenes.judge(boxes=[DetectedBox("stop sign", 0.2)]).answer
    assert unsure.instruction == ""
    assert "uncertain" in unsure.abstains


@pytest.mark.parametrize(
    ("label", "text", "sign"),
    [
        ("regulatory--stop--g1", "", "sign/stop"),
        ("pne", "", "sign/no-entry"),
        ("禁止掉头", "", "sign/no-u-turn"),
        ("Überholverbot für Kraftfahrzeuge aller Art", "", "sign/no-overtaking"),
        ("Divieto di svolta a destra", "", "sign/no-right-turn"),
        ("traffic sign", "STOP", "sign/stop"),
        ("pl60", "", "sign/speed-limit"),
        ("Speed limit (50km/h)", "", "sign/speed-limit"),
    ],
)
def test_signs_are_known_by_the_names_of_detectors_and_languages(
    scenes: SceneJudge, label: str, text: str, sign: str
) -> None:
    answer = scenes.judge(boxes=[DetectedBox(label, 0.9, None, text)])
    assert sign in scenes.book.concepts
    seen = [one for one in scenes.read_boxes([DetectedBox(label, 0.9, None, text)]) if one.shows == sign]
    assert seen
    assert answer.answer.evidence[0].shown == label


def test_signs_order_by_their_articles(scenes: SceneJudge) -> None:
    answer = scenes.judge(boxes=[DetectedBox("no left turn", 0.9)], flags=["green light"]).answer
    assert _verdicts(answer)["turn-left"] == "forbidden"  # green lifts no ban on turning
    assert _verdicts(answer)["forward"] == "allowed"
    rule = next(rule for rule in answer.rules if rule.id == "sign/no-left-turn")
    assert rule.articles == ("VCRSS Annex 1 C 11",)
    assert rule.authority == "sign"


def test_the_lowest_limit_that_is_believed_is_in_force(scenes: SceneJudge) -> None:
    boxes = [DetectedBox("pl50", 0.9), DetectedBox("speed limit", 0.7, _ASIDE, "30"), DetectedBox("pl20", 0.3)]
    limit = scenes.judge(boxes=boxes).answer.speed_limit
    assert limit is not None
    assert (limit.kmh, limit.belief, limit.others, limit.evidence) == (30, pytest.approx(0.7), [20, 50], [2])
    miles = scenes.judge(boxes=[DetectedBox("speed limit", 0.9, None, "30 mph")]).answer.speed_limit
    assert miles is not None
    assert miles.kmh == pytest.approx(48.3)
    assert scenes.judge(boxes=[DetectedBox("speed limit", 0.9)]).answer.speed_limit is None
    ended = scenes.judge(boxes=[DetectedBox("pr40", 0.9)]).answer.speed_limit
    assert ended is not None
    assert ended.kmh is None


def test_defaults_of_countries_hold_where_no_sign_is_sure(scenes: SceneJudge) -> None:
    default = scenes.judge(flags=["road is clear"], country="DE", road="rural").answer.speed_limit
    assert default is not None
    assert (default.kmh, default.sign, default.articles) == (100, "limit/DE", ("StVO § 3 (3)",))
    signed = scenes.judge(boxes=[DetectedBox("pl70", 0.9)], country="DE", road="rural").answer.speed_limit
    assert signed is not None
    assert signed.kmh == 70
    assert scenes.judge(country="DE", road="motorway").answer.speed_limit is None
    for wrong in ({"country": "DE"}, {"country": "XX", "road": "urban"}, {"country": "DE", "road": "field"}):
        with pytest.raises(InputError, match=r"country|road"):
            scenes.judge(**wrong)


def test_defaults_agree_with_a_collection_of_them(scenes: SceneJudge) -> None:
    path = _SCENES.parents[1] / "rules" / "legal_default_speeds.json"
    if not path.is_file():
        pytest.skip(f"needs {path.name}")
    collected = json.loads(path.read_text(encoding="utf-8"))["speedLimitsByCountryCode"]
    compared = 0
    for country, limits in scenes.book.limits.items():
        for entry in collected[country]:
            told = entry["tags"].get("maxspeed")
            if entry.get("name") in limits.kmh and told and set(entry) <= {"name", "tags"}:
                number = float(told.removesuffix(" mph")) * (1.609344 if told.endswith("mph") else 1)
                assert limits.kmh[entry["name"]] == pytest.approx(number, abs=0.1), (country, entry)
                compared += 1
    assert compared > 35


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("红灯，左转车道有一辆绿色汽车，道路畅通", "You must stop"),
        ("左边没有行人，前方有行人，绿灯", "You must slow down or stop"),
        ("路边没有障碍，前方有障碍，绿灯亮", "You must slow down or stop"),
        ("前方没有车，道路畅通", "You may go on"),
        ("道口没有火车", ""),
        ("绿灯没亮", ""),
        ("路口有红绿灯", ""),
        ("红灯变绿灯", "You may go on"),
        ("禁止左转。", "You must not turn left"),
        ("Turning right is forbidden.", "You must not turn right"),
        ("A toddler is on the road and the light is green.", "You must slow down or stop"),
        ("The green light isn't on.", ""),
        ("If the light were green we could go.", ""),
        ("Is the road clear?", ""),
        ("A green car is ahead of me.", ""),
        ("The traffic light is out of order.", ""),
        ("The light turned from red to green.", "You may go on"),
        ("The light is flashing yellow.", "You must slow down"),
        ("A police officer signals us to go.", "You may go on"),
    ],
)
def test_instructions_of_sentences(scenes: SceneJudge, sentence: str, said: str) -> None:
    instruction = scenes.judge(sentence=sentence).answer.instruction
    assert instruction.startswith(said) if said else instruction == ""


def test_an_arrow_beside_red_permits_its_own_turn_alone(scenes: SceneJudge) -> None:
    answer = scenes.judge(flags=["red light", "green arrow to the left", "road is clear", "the right is open"]).answer
    verdicts = _verdicts(answer)
    assert verdicts["turn-left"] == "allowed"
    assert verdicts["forward"] == verdicts["turn-right"] == "forbidden"
    red = _verdicts(scenes.judge(flags=["red light", "the left is open"]).answer)
    assert red["left"] == "forbidden"
    assert _verdicts(scenes.judge(flags=["closed level crossing", "the left is open"]).answer)["left"] == "forbidden"


def test_nothing_is_allowed_that_may_well_be_forbidden(scenes: SceneJudge) -> None:
    green = DetectedBox("green light", 0.9)
    unsure = scenes.judge(boxes=[DetectedBox("person", 0.45, _AHEAD), green]).answer
    assert "may go on" not in unsure.instruction
    nowhere = scenes.judge(boxes=[DetectedBox("person", 0.99), green]).answer
    assert _verdicts(nowhere)["forward"] == "forbidden"


def test_one_thing_that_is_seen_counts_once(scenes: SceneJudge) -> None:
    for label in ("ambulance", "stop sign"):
        answer = scenes.judge(boxes=[DetectedBox(label, 0.35)]).answer
        assert answer.instruction == ""
        assert max(one.required for one in answer.manoeuvres) < 0.36


def test_signs_are_in_miles_where_they_are_and_limits_are_plausible(scenes: SceneJudge) -> None:
    british = scenes.judge(boxes=[DetectedBox("speed limit 50", 0.9)], country="GB", road="rural").answer.speed_limit
    assert british is not None
    assert british.kmh == 80.5
    for box in (DetectedBox("pl0", 1), DetectedBox("speed limit", 1, None, "500"), DetectedBox("pl" + "9" * 400, 1)):
        assert scenes.judge(boxes=[box]).answer.speed_limit is None


def test_no_parking_lets_stand(scenes: SceneJudge) -> None:
    verdicts = _verdicts(scenes.judge(boxes=[DetectedBox("no parking", 0.9)]).answer)
    assert verdicts["park"] == "forbidden"
    assert "stand" not in verdicts


def test_instruction_in_chinese(scenes: SceneJudge) -> None:
    assert "必须停车" in scenes.judge(sentence="前方红灯", language="zh").answer.instruction


@pytest.mark.parametrize("box", [(0.5, 0.1, 0.4, 0.9), (0.0, 0.0, 1.2, 1.0), (0.1, float("nan"), 0.2, 0.5)])
def test_boxes_that_can_be_none_are_refused(scenes: SceneJudge, box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match=r"detections\[0\]\.box"):
        scenes.judge(boxes=[DetectedBox("person", 0.9, box)])
    with pytest.raises(InputError, match="flying pigs"):
        scenes.judge(flags=["flying pigs"])


def test_own_rules_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "own.ttl"
    path.write_text(_RULE.format(strength=0.9, when="motorway"), encoding="utf-8")
    own = next(rule for rule in load_rules([tmp_path]).rules if rule.id == "rule/own")
    assert own.forbids == ("manoeuvre/u-turn",)
    path.write_text(_RULE.format(strength=0.9, when="nowhere"), encoding="utf-8")
    with pytest.raises(InputError, match="rule/own: eg:when names scene/nowhere"):
        load_rules([path])
    path.write_text(_RULE.format(strength=1.5, when="motorway"), encoding="utf-8")
    with pytest.raises(InputError, match=r"rule/own: eg:strength must be in 0\.0…1\.0"):
        load_rules([path])
    path.write_text("no turtle", encoding="utf-8")
    with pytest.raises(InputError, match=r"own\.ttl"):
        load_rules([path])


def test_what_is_settled_adds_up(book: RuleBook) -> None:
    firings = fire(book.rules, {"scene/red-light": 0.6, "scene/green-light": 0.4, "scene/road-clear": 0.5})
    for one in settle(book, firings)[0]:
        assert 0.0 <= one.allowed + one.forbidden <= 1.0 + 1e-9
        assert 0.0 <= one.required <= 1.0


def test_experience_is_learned_from_flags_and_from_words(book: RuleBook, tmp_path: Path) -> None:
    go, halt = (1, 0, 1, 0), (0, 1, 0, 1)
    flagged = [
        SceneCase(str(i), ("road is clear",) if i % 2 else ("red light",), "", go if i % 2 else halt) for i in range(40)
    ]
    path = tmp_path / SHIPPED["concepts"].name
    train_concepts(book, flagged, "made here").save(path)
    loaded = Weights.load(path)
    assert loaded.card["data"] == "made here"
    worded = [
        SceneCase(str(i), None, "all is free" if i % 2 else "a closed gate", go if i % 2 else halt) for i in range(40)
    ]
    train_words(worded, "made here").save(tmp_path / SHIPPED["words"].name)
    judged = SceneJudge.load(weights=tmp_path).judge(flags=["road is clear"], sentence="a closed gate")
    assert [one.allowed for one in judged.experience] == [True, False, True, False]
    assert [one.allowed for one in judged.in_words] == [False, True, False, True]
    for one in (*judged.experience, *judged.in_words):
        assert one.because
    with pytest.raises(InputError, match="in words"):
        train_concepts(book, worded, "x")
    with pytest.raises(InputError, match="nothing to learn"):
        train_words(worded[:1], "x")


def test_shipped_experience_knows_every_manoeuvre() -> None:
    for path in SHIPPED.values():
        weights = Weights.load(path)
        assert weights.weights.shape == (len(weights.names), len(MANOEUVRES))
        assert "train" in str(weights.card["data"])


def test_cases_are_read_or_refused_by_place(tmp_path: Path) -> None:
    flags = [0] * 21
    flags[3] = 1
    path = tmp_path / "scenes.json"
    path.write_text(f'{{"a": {{"actions": [0, 1, 0, 0], "reason": {flags}}}}}', encoding="utf-8")
    (case,) = read_cases(path)
    assert case.flags == ("traffic light (red/yellow)",)
    path.write_text('{"a": {"actions": [0, 1, 0, 0], "reason": [1]}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"scenes\.json:a: `reason`"):
        read_cases(path)
    path.write_text('{"justification": "red", "actions": [0, 1, 0, 2]}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"scenes\.json:1: `actions`"):
        read_cases(path)


def test_evaluation_counts_what_is_right(scenes: SceneJudge) -> None:
    cases = [
        SceneCase("1", ("traffic light (red/yellow)",), "", (0, 1, 0, 0)),
        SceneCase("2", ("road is clear",), "", (1, 0, 0, 0)),
        SceneCase("3", ("road is clear",), "", (0, 1, 0, 0)),
    ]
    report = evaluate_scenes(scenes.book, cases, scenes.concepts, scenes.words)
    assert report.rules_alone.exact == pytest.approx(2 / 3)
    assert report.rules_alone.per_action["forward"] == pytest.approx(2 / 3)
    assert report.chains_complete == 1.0
    with pytest.raises(InputError, match="4: the truth"):
        evaluate_scenes(scenes.book, [SceneCase("4", None, "x", None)], scenes.concepts, scenes.words)


def test_annotated_scenes_by_rules_and_experience(scenes: SceneJudge) -> None:
    if not _SCENES.is_file():
        pytest.skip(f"needs {_SCENES.name}")
    cases = read_cases(_SCENES)
    report = evaluate_scenes(scenes.book, cases, scenes.concepts, scenes.words)
    assert report.joined.macro_f1 > 0.9
    assert report.joined.exact > 0.875
    assert report.rules_alone.macro_f1 > 0.8
    assert report.chains_complete == report.terms_complete == 1.0


def test_judge_needs_nothing_but_observations(book: RuleBook) -> None:
    seen = Observation("scene/red-light", 0.9, SceneEvidence("fact", "red light", 0.9, source="camera:1"))
    answer = judge(book, [seen])
    assert answer.evidence[0].source == "camera:1"
    assert answer.instruction.startswith("You must stop [1].")
