"""Arrow IPC streams without a library: as much of them as a dataset of states needs."""
import json
import pathlib
import struct

KINDS = {2: "int", 3: "float", 5: "text", 12: "list", 16: "fixed"}
SIZES = {"e": 2, "f": 4, "d": 8, "b": 1, "h": 2, "i": 4, "q": 8, "B": 1, "H": 2, "I": 4, "Q": 8}


class Table:
    """A flatbuffers table: fields by their number."""

    def __init__(self, data, at):
        self.data, self.at = data, at
        self.fields = at - struct.unpack_from("<i", data, at)[0]

    def _place(self, field):
        size = struct.unpack_from("<H", self.data, self.fields)[0]
        offset = struct.unpack_from("<H", self.data, self.fields + 4 + 2 * field)[0] if 4 + 2 * field < size else 0
        return self.at + offset if offset else None

    def number(self, field, kind, default=0):
        place = self._place(field)
        return default if place is None else struct.unpack_from("<" + kind, self.data, place)[0]

    def _follow(self, field):
        place = self._place(field)
        return None if place is None else place + struct.unpack_from("<I", self.data, place)[0]

    def table(self, field):
        return Table(self.data, self._follow(field))

    def text(self, field):
        place = self._follow(field)
        return self.data[place + 4:place + 4 + struct.unpack_from("<I", self.data, place)[0]].decode()

    def tables(self, field):
        place = self._follow(field)
        count = 0 if place is None else struct.unpack_from("<I", self.data, place)[0]
        return [Table(self.data, at + struct.unpack_from("<I", self.data, at)[0])
                for at in (place + 4 + 4 * index for index in range(count))]

    def pairs(self, field):
        place = self._follow(field)
        return [struct.unpack_from("<qq", self.data, place + 4 + 16 * index)
                for index in range(struct.unpack_from("<I", self.data, place)[0])]


class Field:
    def __init__(self, table):
        self.name, self.kind, kind = table.text(0), KINDS[table.number(2, "B")], table.table(3)
        self.items = [Field(child) for child in table.tables(5)]
        assert table.number(1, "B") == 1 and table._place(4) is None
        if self.kind == "int":
            self.code = {8: "b", 16: "h", 32: "i", 64: "q"}[kind.number(0, "i")]
            self.code = self.code if kind.number(1, "B") else self.code.upper()
        elif self.kind == "float":
            self.code = "efd"[kind.number(0, "h")]
        elif self.kind == "fixed":
            self.length = kind.number(0, "i")

    def type(self):
        inner = ", ".join(item.type() for item in self.items)
        return {"int": lambda: self.code, "float": lambda: self.code, "text": lambda: "text",
                "list": lambda: f"list[{inner}]", "fixed": lambda: f"fixed[{inner}, {self.length}]"}[self.kind]()

    def values(self, nodes, buffers):
        length, nulls = next(nodes)
        valid = next(buffers)
        if self.kind in ("int", "float"):
            assert nulls == 0
            return list(struct.unpack(f"<{length}{self.code}", next(buffers)[:length * SIZES[self.code]]))
        if self.kind == "fixed":
            assert nulls == 0
            items = self.items[0].values(nodes, buffers)
            assert len(items) == length * self.length
            return [items[at * self.length:(at + 1) * self.length] for at in range(length)]
        offsets = struct.unpack(f"<{length + 1}i", next(buffers))
        assert offsets[0] == 0
        if self.kind == "list":
            assert nulls == 0
            items = self.items[0].values(nodes, buffers)
            assert len(items) == offsets[-1]
            return [items[a:b] for a, b in zip(offsets, offsets[1:])]
        text = next(buffers)
        out = [text[a:b].decode() if not nulls or valid[row // 8] >> row % 8 & 1 else None
               for row, (a, b) in enumerate(zip(offsets, offsets[1:]))]
        assert out.count(None) == nulls
        return out


def read_stream(path):
    """The schema's fields, its metadata, and each record batch as {column: values}."""
    data, at, batches, fields, metadata = pathlib.Path(path).read_bytes(), 0, [], None, {}
    while True:
        marker, size = struct.unpack_from("<II", data, at)
        assert marker == 0xFFFFFFFF and at % 64 == 0
        at += 8
        if size == 0:
            assert at == len(data)
            return fields, metadata, batches
        message = Table(data, at + struct.unpack_from("<I", data, at)[0])
        at += size
        assert message.number(0, "h") == 4 and at % 64 == 0
        header, body = message.table(2), message.number(3, "q")
        if message.number(1, "B") == 1:
            assert fields is None and body == 0
            fields = [Field(table) for table in header.tables(1)]
            metadata = {pair.text(0): json.loads(pair.text(1)) for pair in header.tables(2)}
        else:
            assert message.number(1, "B") == 3
            places = header.pairs(2)
            assert all(offset % 64 == 0 and offset + length <= body for offset, length in places)
            nodes, buffers = iter(header.pairs(1)), iter([data[at + a:at + a + b] for a, b in places])
            batches.append({field.name: field.values(nodes, buffers) for field in fields})
            assert next(nodes, None) is None and next(buffers, None) is None
            assert all(len(values) == header.number(0, "q") for values in batches[-1].values())
            at += body
