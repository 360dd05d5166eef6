"""Lines that a crash cut short, or that somebody damaged, are passed over."""

from marey.lines import whole_rows


def test_only_whole_objects_are_rows(tmp_path):
    path = tmp_path / "a.jsonl"
    deep = b'{"a":' + b"[" * 100_000
    lines = [b'{"a": 1}', b"[2]", b"3", b"\xff\xfe", deep, b"", b'{"a": 4}', b'{"a": 5']
    path.write_bytes(b"\n".join(lines))
    assert list(whole_rows(path)) == [{"a": 1}, {"a": 4}]
