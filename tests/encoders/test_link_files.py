import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from api.cli import main
from encoders.graph.model import LinkPredictor
from encoders.graph.predictor import SHIPPED, load_predictor
from encoders.graph.triple_files import read_triples
from encoders.weights import load_weights
from kg.errors import InputError


def _nan(tensors):
    tensors["entity_model.mlp.0.bias"][3] = float("nan")


def _missing(tensors):
    del tensors["relation_model.layers.0.relation.weight"]


def _more(tensors):
    tensors["entity_model.layers.6.linear.bias"] = torch.zeros(64)


def _shape(tensors):
    tensors["entity_model.mlp.2.weight"] = torch.zeros(1, 64)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_nan, "'entity_model.mlp.0.bias' holds numbers that are not finite"),
        (_missing, "no tensor 'relation_model.layers.0.relation.weight'"),
        (_more, "'entity_model.layers.6.linear.bias' is not of this model"),
        (_shape, r"'entity_model.mlp.2.weight' is \(1, 64\), not \(1, 128\)"),
    ],
)
def test_wrong_weights_are_refused_and_leave_the_model_alone(tmp_path, spoil, words):
    tensors = load_file(SHIPPED)
    spoil(tensors)
    path = tmp_path / "wrong.safetensors"
    save_file(tensors, path)
    model = LinkPredictor()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=f"wrong.safetensors: .*{words}"):
        load_weights(model, path)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name])


@pytest.mark.parametrize("content", [b"", b"not tensors", SHIPPED.read_bytes()[:5000]])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_predictor(path)


def test_files_share_their_names(tmp_path):
    (tmp_path / "a").write_text("x\tis\ty\ny\tis\tz\n\n")
    (tmp_path / "b").write_text("z\thas\tx\r\nw\tis\tx\n")
    first, second = read_triples([tmp_path / "a", tmp_path / "b"])
    assert (first.nodes, first.relations) == (second.nodes, second.relations) == (4, 2)
    assert second.head.tolist() == [2, 3]
    assert second.tail.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\tb\n", "facts.txt:1: not head, relation and tail"),
        (b"a\tb\tc\nd\t\te\n", "facts.txt:2: not head"),
        (b"a\tb\tc\td\n", "facts.txt:1: not head"),
        (b"\n", "facts.txt: no facts"),
        (b"\xff\xfe\n", "can't be read"),
    ],
)
def test_wrong_files_are_refused_by_line(tmp_path, content, words):
    (tmp_path / "facts.txt").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_triples([tmp_path / "facts.txt"])


def test_the_command_prints_the_figures(tmp_path, capsys):
    graph = "".join(f"n{i}\tnext\tn{i + 1}\n" for i in range(12))
    (tmp_path / "graph.txt").write_text(graph)
    (tmp_path / "test.txt").write_text("n12\tnext\tn13\nn3\tnext\tn0\n")
    files = ["--graph", str(tmp_path / "graph.txt"), "--test", str(tmp_path / "test.txt")]
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "links", *files, "--json"])
    assert end.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"n", "mrr", "hits1", "hits3", "hits10"}
    assert found["n"] == 4
    assert 0 < found["mrr"] <= 1
