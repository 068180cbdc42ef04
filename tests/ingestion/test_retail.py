"""Interactions, item tables, RecBole's and KGAT's knowledge graphs."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from ingestion.pipeline import ingest
from ingestion.readers import retail_tables
from ingestion.readers.base import get_reader
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected
from kg.ontology import Ontology
from tests.ingestion.test_reader_contract import ReaderContract, read_all
from tests.support.backends import Backend

INTER = (
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n186\t302\t4.5\t891717742\n"
)
ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n1\tToy Story\t1995\tAnimation Comedy\n"
)
USERS = "user_id:token\tage:token\toccupation:token\n1\t24\ttechnician\n"
KG = "head_id:token\trelation_id:token\ttail_id:token\nm.04ctbw8\tfilm.producer.film\tm.0bln8\n"
LINK = "item_id:token\tentity_id:token\n476\tm.08gjyx\n"
KGAT = {
    "kg_final.txt": "0 1 24915\n1 0 24916\n",
    "entity_list.txt": "org_id remap_id\nm.045wq1q 0\nm.03_28m 1\n",
    "relation_list.txt": "org_id remap_id\nhttp://rdf.freebase.com/ns/type.object.name 0\nbook.author 1\n",
    "item_list.txt": "org_id remap_id freebase_id\n0553092626 0 m.045wq1q\n0393316041 1 m.03_28m\n",
    "user_list.txt": "org_id remap_id\nA3RTKL9KB8KLID 0\n",
    "train.txt": "0 0 1\n",
    "test.txt": "0 2\n",
}


def write(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
    return folder


def claims(records: list[Record]) -> list[tuple[str, str, str, dict[str, object]]]:
    return [(r.subject, r.relation, r.object, dict(r.qualifiers)) for r in records if isinstance(r, Claim)]


def entities(records: list[Record]) -> dict[str, dict[str, object]]:
    return {r.id: dict(r.properties) for r in records if isinstance(r, Entity)}


def rejected(records: list[Record]) -> list[tuple[str, str]]:
    return [(r.place, r.reason) for r in records if isinstance(r, Rejected)]


class TestInteractionsContract(ReaderContract):
    name = "interactions"

    def write_good(self, folder: Path) -> Path:
        return write(folder, **{"ml.inter": INTER, "b.csv": "user,item,action\nann,tea pot,view\nann,tea pot,buy\n"})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        self.write_good(folder)
        write(folder, **{"ml.inter": INTER + "7\t8\tNaN\t881250949\n"})
        return folder, "L4"


class TestItemsContract(ReaderContract):
    name = "items"

    def write_good(self, folder: Path) -> Path:
        return write(folder, **{"ml.item": ITEM, "ml.user": USERS})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        write(folder, **{"ml.item": ITEM + "2\tcut o", "ml.user": USERS})
        return folder, "L3"


class TestRecboleKgContract(ReaderContract):
    name = "recbole_kg"

    def write_good(self, folder: Path) -> Path:
        return write(folder, **{"ml.kg": KG, "ml.link": LINK})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        write(folder, **{"ml.kg": KG + "m.1\t\tm.2\n", "ml.link": LINK})
        return folder, "L3"


class TestKgatContract(ReaderContract):
    name = "kgat"

    def write_good(self, folder: Path) -> Path:
        return write(folder, **KGAT)

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        write(folder, **KGAT | {"kg_final.txt": KGAT["kg_final.txt"] + "1 x 3\n"})
        return folder, "L3"


# ---- what is read --------------------------------------------------------------------------------------------------


def test_interactions_of_recbole(tmp_path: Path) -> None:
    records = read_all(get_reader("interactions"), write(tmp_path / "ml-100k", **{"ml-100k.inter": INTER}))
    assert claims(records) == [
        (
            "user:ml-100k/196",
            "INTERACTED_WITH",
            "item:ml-100k/242",
            {"rating": 3.0, "said_at": "1997-12-04T15:55:49Z"},
        ),
        (
            "user:ml-100k/186",
            "INTERACTED_WITH",
            "item:ml-100k/302",
            {"rating": 4.5, "said_at": "1998-04-04T19:22:22Z"},
        ),
    ]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("userId,movieId,rating,timestamp", "1,31,2.5,1260759144"),
        ("UserID;ProductID;Score;Time", "1;31;2.5;2009-12-14T02:52:24Z"),
        ("reviewerID\tasin\toverall\tunixReviewTime", "1\t31\t2.5\t1260759144000"),
        ("用户ID,商品ID,评分,时间", "1,31,2.5,2009-12-14 02:52:24"),
    ],
)
def test_columns_are_found_by_usual_names(tmp_path: Path, header: str, row: str) -> None:
    name = "x.tsv" if "\t" in header else "x.csv"
    records = read_all(get_reader("interactions"), write(tmp_path, **{name: f"{header}\n{row}\n"}), name="shop")
    expected = {"rating": 2.5, "said_at": "2009-12-14T02:52:24Z"}
    assert claims(records) == [("user:shop/1", "INTERACTED_WITH", "item:shop/31", expected)]
    assert not rejected(records)


def test_columns_that_are_not_read_are_named_once(tmp_path: Path) -> None:
    path = write(tmp_path, **{"x.csv": ",user,item,helpful,review\n0,a,b,1,fine\n1,a,c,2,good\n"})
    records = read_all(get_reader("interactions"), path)
    assert rejected(records) == [("L1", "columns not read: helpful, review")]
    assert len(claims(records)) == 2


def test_the_same_pair_may_interact_in_several_ways(tmp_path: Path) -> None:
    path = write(tmp_path, **{"x.csv": "user,item,event_type\na b,ü/1,view\na b,ü/1,buy\n"})
    records = read_all(get_reader("interactions"), path, name="s")
    assert [(s, o, q) for s, _, o, q in claims(records)] == [
        ("user:s/a%20b", "item:s/%C3%BC/1", {"action": "view"}),
        ("user:s/a%20b", "item:s/%C3%BC/1", {"action": "buy"}),
    ]
    assert list(entities(records)) == ["user:s/a%20b", "item:s/%C3%BC/1"]


def test_items(tmp_path: Path) -> None:
    table = (
        "item_id,title,genres,brand,price,release_date,colour,description\n"
        '1,"Tea pot, blue",Kitchen|Tea|Kitchen,Acme,$1200.50,2020,blue,"Two\nlines with ""quotes"""\n'
        "2,Cup,\"['Kitchen', 'Cups & mugs']\",,,,,\n3,Can,[],,,,,\n"
    )
    records = read_all(get_reader("items"), write(tmp_path, **{"items.csv": table}), name="shop")
    found = entities(records)
    assert found["item:shop/1"] == {
        "name": "Tea pot, blue",
        "definition": 'Two lines with "quotes"',
        "price": 1200.5,
        "released_in": "2020",
        "details": ("colour=blue",),
    }
    assert found["item:shop/2"] == {"name": "Cup"}
    assert found["category:shop/Cups%20&%20mugs"] == {"name": "Cups & mugs"}
    assert [c[:3] for c in claims(records)] == [
        ("item:shop/1", "HAS_CATEGORY", "category:shop/Kitchen"),
        ("item:shop/1", "HAS_CATEGORY", "category:shop/Tea"),
        ("item:shop/1", "HAS_BRAND", "brand:shop/Acme"),
        ("item:shop/2", "HAS_CATEGORY", "category:shop/Kitchen"),
        ("item:shop/2", "HAS_CATEGORY", "category:shop/Cups%20&%20mugs"),
    ]


@pytest.mark.parametrize(
    ("stated", "price"),
    [
        ("12,99", 12.99),
        ("1.299,00", 1299.0),
        ("49,90 €", 49.9),
        ("$1,200.50", 1200.5),
        ("1,299,000", 1299000.0),
        ("1.299.000", 1299000.0),
        ("0,125", 0.125),
        ("0.125", 0.125),
        ("1299.125", 1299.125),
        ("12.5", 12.5),
        ("1,299", None),
        ("1.299", None),
        ("€ 12.999", None),
    ],
)
def test_prices_of_tables_with_semicolons(tmp_path: Path, stated: str, price: float | None) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"item_id;price\na;{stated}\n", "utf-8")
    records = read_all(get_reader("items"), path)
    if price is None:
        reason = f"price {stated!r} is ambiguous in a table with semicolons: thousands or a fraction?"
        assert rejected(records) == [("L2", reason)]
    else:
        assert entities(records)["item:x/a"] == {"price": price}


def test_thousands_between_commas(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('item_id,price\na,"$1,299"\nb,"1,299.50"\nc,1.299\nd,"0,125"\n', "utf-8")
    found = entities(read_all(get_reader("items"), path))
    assert [found[f"item:x/{key}"]["price"] for key in "abcd"] == [1299.0, 1299.5, 1.299, 0.125]


def test_users(tmp_path: Path) -> None:
    records = read_all(get_reader("items"), write(tmp_path / "ml", **{"ml.user": USERS}))
    assert entities(records) == {"user:ml/1": {"profile": ("age=24", "occupation=technician")}}


def test_items_and_interactions_of_one_folder_or_name_meet(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "ml",
        **{"ml.inter": INTER.replace("242", "1"), "ml.item": ITEM, "ml.link": "item_id\tentity_id\n1\tm.0\n"},
    )
    item = "item:ml/1"
    assert item in entities(read_all(get_reader("items"), folder))
    assert item in entities(read_all(get_reader("interactions"), folder))
    assert item in entities(read_all(get_reader("recbole_kg"), folder / "ml.link"))
    assert "item:x/1" in entities(read_all(get_reader("items"), folder / "ml.item", name="x"))


def test_recbole_knowledge_graph(tmp_path: Path) -> None:
    records = read_all(get_reader("recbole_kg"), write(tmp_path / "ml", **{"ml.kg": KG, "ml.link": LINK}))
    assert claims(records) == [
        ("concept:ml/m.04ctbw8", "RELATED_TO", "concept:ml/m.0bln8", {"predicate": "film.producer.film"}),
        ("item:ml/476", "LINKED_TO", "concept:ml/m.08gjyx", {}),
    ]


def test_kgat(tmp_path: Path) -> None:
    records = read_all(get_reader("kgat"), write(tmp_path / "book", **KGAT))
    assert claims(records) == [
        ("item:book/0", "LINKED_TO", "concept:book/0", {}),
        ("item:book/1", "LINKED_TO", "concept:book/1", {}),
        ("concept:book/0", "RELATED_TO", "concept:book/24915", {"predicate": "book.author"}),
        (
            "concept:book/1",
            "RELATED_TO",
            "concept:book/24916",
            {"predicate": "http://rdf.freebase.com/ns/type.object.name"},
        ),
        ("user:book/0", "INTERACTED_WITH", "item:book/0", {}),
        ("user:book/0", "INTERACTED_WITH", "item:book/1", {}),
    ]
    named = {(r.id, r.properties["name"]) for r in records if isinstance(r, Entity) and r.properties}
    assert {("item:book/0", "0553092626"), ("concept:book/0", "m.045wq1q"), ("user:book/0", "A3RTKL9KB8KLID")} <= named


def test_kgat_is_read_anew_when_the_names_of_its_relations_change(tmp_path: Path) -> None:
    def content() -> str:
        documents = get_reader("kgat").documents(tmp_path / "book")
        return next(d.content for d in documents if d.path.name == "kg_final.txt")

    write(tmp_path / "book", **KGAT)
    before = content()
    write(tmp_path / "book", **{"relation_list.txt": "org_id remap_id\nbook.editor 1\n"})
    assert content() != before


# ---- Parquet ---------------------------------------------------------------------------------------------------------


def parquet(path: Path, **data: list[object]) -> Path:
    polars = pytest.importorskip("polars", reason="needs the extra `tables`")
    path.parent.mkdir(parents=True, exist_ok=True)
    polars.DataFrame(data).write_parquet(path)
    return path


def test_interactions_in_parquet(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "x.parquet",
        user_id=[1, None, 3],
        item_id=["a", "b", "c"],
        rating=[3.0, 4.0, float("inf")],
    )
    records = read_all(get_reader("interactions"), path)
    assert claims(records) == [("user:x/1", "INTERACTED_WITH", "item:x/a", {"rating": 3.0})]
    assert rejected(records) == [("row 2", "no user_id"), ("row 3", "rating 'inf' is no finite number")]


def test_items_in_parquet_with_lists(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", item_id=["a"], categories=[["Tea", "Pots"]], price=[3.5])
    records = read_all(get_reader("items"), path)
    assert entities(records)["item:x/a"] == {"price": 3.5}
    assert [o for _, _, o, _ in claims(records)] == ["category:x/Tea", "category:x/Pots"]


@pytest.mark.parametrize("cut", [0, 3, 100])
def test_parquet_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = parquet(tmp_path / "x.parquet", user_id=["a"], item_id=["b"])
    path.write_bytes(path.read_bytes()[:cut])
    assert [place for place, _ in rejected(read_all(get_reader("interactions"), path))] == ["L1"]


def test_parquet_without_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "x.parquet", user_id=["a"], item_id=["b"])
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(InputError, match=r"pip install 'evigraph\[tables\]'"):
        read_all(get_reader("interactions"), path)


# ---- broken input --------------------------------------------------------------------------------------------------

Broken = tuple[str, str, str | bytes, str, str]
GOOD_ROW = "9,9,5,1260759144\n"
HEAD = "user_id,item_id,rating,timestamp\n"
BROKEN: list[Broken] = [
    ("interactions", "x.csv", HEAD + "1,2,3\n" + GOOD_ROW, "L2", "3 columns instead of 4"),
    ("interactions", "x.csv", HEAD + "1,2,3,1260759144,5\n" + GOOD_ROW, "L2", "5 columns instead of 4"),
    ("interactions", "x.csv", HEAD.encode() + b"M\xfcller,2,3,1260759144\n" + GOOD_ROW.encode(), "L2", "not UTF-8"),
    ("interactions", "x.csv", HEAD + "1,2,1e999,1260759144\n" + GOOD_ROW, "L2", "rating '1e999' is no finite number"),
    ("interactions", "x.csv", HEAD + "1,2,NaN,1260759144\n" + GOOD_ROW, "L2", "rating 'NaN' is no finite number"),
    ("interactions", "x.csv", HEAD + "1,2,good,1260759144\n" + GOOD_ROW, "L2", "rating 'good' is no finite number"),
    ("interactions", "x.csv", HEAD + "1,2,3,99999999999999999999\n" + GOOD_ROW, "L2", "timestamp: "),
    ("interactions", "x.csv", HEAD + "1,2,3,2020-02-31\n" + GOOD_ROW, "L2", "timestamp: "),
    ("interactions", "x.csv", HEAD + ",2,3,1260759144\n" + GOOD_ROW, "L2", "no user_id"),
    ("interactions", "x.csv", HEAD + "1, ,3,1260759144\n" + GOOD_ROW, "L2", "no item_id"),
    ("interactions", "x.csv", HEAD + '"1,2,3,1260759144\n' + GOOD_ROW, "L2", "no CSV: unexpected end"),
    ("interactions", "x.csv", HEAD + '"1"x,2,3,1260759144\n' + GOOD_ROW, "L2", "no CSV: "),
    ("interactions", "x.csv", HEAD + GOOD_ROW + "1,2", "L3", "2 columns instead of 4"),
    ("interactions", "x.csv", HEAD + f"{'9' * 600},2,3,1260759144\n" + GOOD_ROW, "", ""),
    ("items", "x.csv", "item_id,price\n1,NaN\n9,5\n", "L2", "price 'NaN' is no finite number"),
    ("items", "x.csv", "item_id,price\n1,1e999\n9,5\n", "L2", "price '1e999' is no finite number"),
    ("items", "x.csv", "item_id,price\n1,cheap\n9,5\n", "L2", "price 'cheap' is no finite number"),
    ("items", "x.csv", "item_id,price\n,3\n9,5\n", "L2", "no item_id"),
    ("items", "x.csv", "item_id,genres\n1\n9,['\\ud800']\n", "L2", "1 columns instead of 2"),
    ("items", "x.csv", "item_id,price\n1\n9,5\n", "L2", "1 columns instead of 2"),
    ("items", "x.csv", b"item_id,title\n1,caf\xe9\n9,5\n", "L2", "not UTF-8"),
    ("items", "x.csv", 'item_id,title\n1,"a\n9,5\n', "L2", "no CSV: unexpected end"),
    ("recbole_kg", "x.kg", KG + "a\tb\n9\tr\t9\n", "L3", "2 columns instead of 3"),
    ("recbole_kg", "x.kg", KG + "a\tb\tc\td\n9\tr\t9\n", "L3", "4 columns instead of 3"),
    ("recbole_kg", "x.kg", KG + "\tb\tc\n9\tr\t9\n", "L3", "no head_id"),
    ("recbole_kg", "x.kg", KG + "a\t \t \n9\tr\t9\n", "L3", "no tail_id, relation_id"),
    ("recbole_kg", "x.kg", KG.encode() + b"\xff\tb\tc\n9\tr\t9\n", "L3", "not UTF-8"),
    ("recbole_kg", "x.link", LINK + "a\n9\t9\n", "L3", "1 columns instead of 2"),
    ("recbole_kg", "x.link", LINK + "\t9\n9\t9\n", "L3", "no item_id"),
    ("kgat", "kg_final.txt", "0 1\n9 9 9\n", "L1", "2 numbers instead of 3"),
    ("kgat", "kg_final.txt", "0 1 2 3\n9 9 9\n", "L1", "4 numbers instead of 3"),
    ("kgat", "kg_final.txt", "0 1 NaN\n9 9 9\n", "L1", "'NaN' is no whole number"),
    ("kgat", "kg_final.txt", "0 1 -1\n9 9 9\n", "L1", "'-1' is no whole number"),
    ("kgat", "kg_final.txt", f"0 1 {'9' * 30}\n9 9 9\n", "L1", "is no whole number"),
    ("kgat", "kg_final.txt", b"0 1 \xff\n9 9 9\n", "L1", "not UTF-8"),
    ("kgat", "train.txt", "0 1 x\n9 9\n", "L1", "'x' is no whole number"),
    ("kgat", "train.txt", "0\n9 9\n", "L1", "user 0 without items"),
    ("kgat", "item_list.txt", "org_id remap_id\na\n9 9\n", "L2", "1 columns instead of 2"),
    ("kgat", "item_list.txt", "org_id remap_id\na b\n9 9\n", "L2", "remap_id 'b' is no whole number"),
]


@pytest.mark.parametrize(("reader", "file", "content", "place", "reason"), BROKEN)
def test_a_broken_row_is_named_and_the_rest_loads(
    tmp_path: Path, ontology: Ontology, reader: str, file: str, content: str | bytes, place: str, reason: str
) -> None:
    records = read_all(get_reader(reader), write(tmp_path / "d", **{file: content}))
    if not place:  # an id that only the ontology's check refuses
        assert [p for r in records if isinstance(r, Claim) and (p := ontology.check_claim(r))]
    else:
        [(found, said)] = rejected(records)
        assert found == place
        assert reason in said
    assert any("9" in entity for entity in entities(records))
    assert any(claim[0].endswith("/9") for claim in claims(records)) or reader == "items"


@pytest.mark.parametrize(
    ("reader", "file", "content", "reason"),
    [
        ("interactions", "x.csv", "", "no header"),
        ("interactions", "x.csv", 'user,"item\n1,2\n', "no header: unexpected end"),
        ("interactions", "x.csv", "a,b\n1,2\n", "no column is a user id such as user_id: a, b"),
        ("interactions", "x.csv", "user,b\n1,2\n", "no column is an item id"),
        ("interactions", "x.csv", "user,item,user\n1,2,3\n", "column user is there twice"),
        ("interactions", "x.csv", "user,item\n1,2\n".encode("utf-16"), "no header: not UTF-8"),
        ("interactions", "x.parquet", b"PAR1", "no Parquet file"),
        ("items", "x.csv", "price\n1\n", "no column is an item id"),
        ("recbole_kg", "x.kg", "a:token\tb:token\n1\t2\n", "the columns are not head_id"),
        ("recbole_kg", "x.link", "a:token\tb:token\n1\t2\n", "the columns are not item_id"),
        ("kgat", "item_list.txt", "a b\n1 2\n", "the header is not org_id remap_id"),
    ],
)
def test_a_file_without_its_header_is_refused_as_a_whole(
    tmp_path: Path, reader: str, file: str, content: str | bytes, reason: str
) -> None:
    if file.endswith(".parquet"):
        pytest.importorskip("polars", reason="needs the extra `tables`")
    records = read_all(get_reader(reader), write(tmp_path / "d", **{file: content}))
    [(place, said)] = rejected(records)
    assert place == "L1"
    assert said.startswith(reason)
    assert not claims(records)


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    rows = "".join(f"{i},title {i}\n" for i in range(1000))
    path = write(tmp_path, **{"x.csv": 'item_id,title\nbad,"open\n' + rows})
    records = read_all(get_reader("items"), path)
    assert [p for p, _ in rejected(records)] == ["L2"]
    assert len(entities(records)) == 1000


SAMPLES = {
    "x.csv": b'item,user,title,genres,brand,price,time\n1,2,"Tea ""x"", blue",A|B,Acme,3,2020-01-01\n',
    "x.inter": INTER.encode(),
    "x.item": ITEM.encode(),
    "x.kg": KG.encode(),
    "kg_final.txt": KGAT["kg_final.txt"].encode(),
    "item_list.txt": KGAT["item_list.txt"].encode(),
}
JUNK = [b"\0", b"\xff", b'"', b"[]", b",", b"\n", b"\t", b"NaN", b"1e999", b"['\\ud800']", b"9" * 30, b"\r", b":"]


def test_damaged_bytes_never_end_the_run(tmp_path: Path, ontology: Ontology) -> None:
    chance = random.Random(4)
    for file, sample in SAMPLES.items():
        for _ in range(100):
            damaged = bytearray(sample)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(damaged))
                damaged[at : at + chance.choice((0, 0, 1, 20))] = chance.choice(JUNK)
            (tmp_path / file).write_bytes(damaged)
            for name in ("interactions", "items", "recbole_kg", "kgat"):
                reader = get_reader(name)
                if file.endswith(reader.extensions):
                    for record in read_all(reader, tmp_path / file):
                        assert not isinstance(record, Claim) or ontology.check_claim(record) is None
                        assert not isinstance(record, Entity) or ontology.check_entity(record) is None


def test_memory_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retail_tables, "MAX_REMEMBERED", 1000)

    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        with path.open("w") as file:
            file.write("user,item,rating\n")
            file.writelines(f"u{i},i{i % 5000},3\n" for i in range(rows))
        [document] = get_reader("interactions").documents(path)
        tracemalloc.start()
        count = sum(isinstance(r, Claim) for r in get_reader("interactions").read(document))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == rows
        return used

    peak(100)
    assert peak(40_000) < peak(4_000) + 200_000


# ---- into a graph ----------------------------------------------------------------------------------------------------


async def test_into_a_graph(embedded_backend: Backend, tmp_path: Path) -> None:
    """Interactions and items of one name meet; a bad row is a dead letter; retracting all leaves nothing."""
    embedded_backend.empty()
    store = await embedded_backend.open()
    letters = tmp_path / "letters.jsonl"
    try:
        before = await store.digest()
        write(tmp_path, **{"a.csv": "user,item,rating\nann,17,4\nbob,17,NaN\n", "b.csv": "item,brand\n17,Acme\n"})
        first = await ingest(store, get_reader("interactions"), tmp_path / "a.csv", name="s", dead_letters=letters)
        second = await ingest(store, get_reader("items"), tmp_path / "b.csv", name="s", dead_letters=letters)
        third = await ingest(store, get_reader("kgat"), write(tmp_path / "book", **KGAT), dead_letters=letters)
        assert [(r.claims, r.rejected) for r in (first, second, third)] == [(1, 1), (1, 0), (6, 0)]
        query = "MATCH (u:User)-[:INTERACTED_WITH]->(i:Item)-[:HAS_BRAND]->(b:Brand) RETURN u.id AS u, b.name AS b"
        assert [tuple(row.values()) async for row in store.read(query)] == [("user:s/ann", "Acme")]
        for document in list(await store.ledger()):
            await store.retract(document)
        assert await store.digest() == before
    finally:
        await store.close()


# ---- the real thing --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ml_100k() -> Path:
    spec = find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("recbole, which ships ml-100k, is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "dataset_example" / "ml-100k"


def test_ml_100k(ml_100k: Path, ontology: Ontology) -> None:
    counts: Counter[str] = Counter()
    started = time.perf_counter()
    for name in ("interactions", "items", "recbole_kg"):
        reader: Callable[..., object] = get_reader(name)  # type: ignore[assignment]
        for record in read_all(reader, ml_100k):  # type: ignore[arg-type]
            if isinstance(record, Claim):
                counts[record.relation] += 1
                assert ontology.check_claim(record) is None
            elif isinstance(record, Entity):
                assert ontology.check_entity(record) is None
            counts[type(record).__name__] += 1
    assert time.process_time() - started < 200
    assert counts["INTERACTED_WITH"] == 100_000
    assert counts["HAS_CATEGORY"] > 1682
    assert counts["RELATED_TO"] == 91_631
    assert counts["LINKED_TO"] == 1_598
    assert counts["Rejected"] == 0
