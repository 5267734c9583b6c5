"""A pickle machine that builds plain data and can do nothing else.

A pickle is a program. Python's own machine runs it with the power to import and call anything;
this one has no import and no call at all. It knows the opcodes of protocols 0 to 5
(https://docs.python.org/3/library/pickletools.html), asks a :class:`Builder` what a name or a
construction stands for, and counts everything that a hostile program could use to fill the
memory or to keep it busy.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Any, Protocol

from engine.checkpoints.budget import Budget, checked_key, type_of
from engine.checkpoints.faults import Damaged, Refused
from engine.checkpoints.plain import ClassRef, Node
from engine.checkpoints.source import Cursor, LazyBytes

#: ``bytes`` values longer than this stay in the file as :class:`LazyBytes`.
INLINE_BYTES = 2048
#: Longest name, number or string on a line of its own (protocol 0).
MAX_LINE = 1 << 20
#: Longest name of a module or class.
MAX_NAME = 500
#: Largest whole number, in bytes. torch's own magic number has ten.
MAX_INT_BYTES = 64
#: Deepest nesting of marks.
MAX_MARKS = 10_000


class Builder(Protocol):
    """What names, constructions and persistent ids in a pickle stand for."""

    def find(self, module: str, name: str) -> ClassRef:
        """A name that the file asks for, or raise ``Refused``."""

    def construct(self, ref: ClassRef, args: tuple[Any, ...], kwargs: dict[Any, Any]) -> Any:
        """What calling or instantiating ``ref`` stands for, or raise ``Refused``."""

    def set_state(self, target: Any, state: Any) -> None:
        """Give a constructed stand-in its state."""

    def persistent(self, pid: Any) -> Any:
        """What a persistent id stands for, or raise ``Refused``."""


class PickleMachine:
    """Runs one pickle after another from a cursor."""

    def __init__(self, cursor: Cursor, builder: Builder, budget: Budget) -> None:
        self.cursor = cursor
        self.builder = builder
        self.budget = budget
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Run to the next STOP and return the value; the cursor stands behind it.

        Raises:
            Damaged: the program is not a sound pickle.
            Refused: it asks for something that is not allowed.
        """
        self._stack, self._marks, self._memo = [], [], {}
        cursor, step, table = self.cursor, self.budget.step, _TABLE
        while True:
            code = cursor.byte()
            if code == 0x2E:  # STOP
                break
            step()
            operation = table.get(code)
            if operation is None:
                raise Damaged(f"byte {cursor.tell() - 1} is not a pickle instruction")
            operation(self)
        if len(self._stack) != 1 or self._marks:
            raise Damaged("its pickle stops in the middle of something")
        value = self._stack.pop()
        self._memo = {}
        return value

    # Stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack:
            raise Damaged("its pickle takes a value where there is none")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise Damaged("its pickle takes a value where there is none")
        return self._stack[-1]

    def mark(self) -> None:
        if len(self._marks) >= MAX_MARKS:
            raise Refused("its data is nested too deeply")
        self._marks.append(self._stack)
        self._stack = []

    def pop_mark(self) -> list[Any]:
        if not self._marks:
            raise Damaged("its pickle closes a group that it did not open")
        items, self._stack = self._stack, self._marks.pop()
        return items

    def pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.pop_mark()

    def drop_mark(self) -> None:
        self.pop_mark()

    def dup(self) -> None:
        self._push(self._top())

    # Numbers, text, bytes

    def _unsigned(self, width: int) -> int:
        return int.from_bytes(self.cursor.read(width), "little")

    def int_line(self) -> None:
        text = self.cursor.line(MAX_LINE)
        if text in (b"00", b"01"):
            self._push(text == b"01")
        else:
            self._push(_whole(text))

    def long_line(self) -> None:
        self._push(_whole(self.cursor.line(MAX_LINE).removesuffix(b"L")))

    def float_line(self) -> None:
        self._push(float(self.cursor.line(MAX_NAME)))

    def binint(self) -> None:
        self._push(int.from_bytes(self.cursor.read(4), "little", signed=True))

    def binfloat(self) -> None:
        self._push(struct.unpack(">d", self.cursor.read(8))[0])

    def long(self, width: int) -> None:
        count = self._unsigned(width)
        if count > MAX_INT_BYTES:
            raise Refused(f"it holds a whole number of {count} bytes")
        self._push(int.from_bytes(self.cursor.read(count), "little", signed=True))

    def _inline(self, count: int) -> bytes:
        self.cursor.require(count)
        self.budget.text(count)
        return self.cursor.read(count)

    def text(self, width: int) -> None:
        self._push(self._inline(self._unsigned(width)).decode("utf-8", "replace"))

    def text_line(self) -> None:
        line = self.cursor.line(MAX_LINE)
        self.budget.text(len(line))
        # Not bytes.decode, which imports this codec at its first use.
        text = codecs.raw_unicode_escape_decode(line)[0]
        self._push(text.encode("utf-8", "replace").decode("utf-8"))

    def old_text_line(self) -> None:
        line = self.cursor.line(MAX_LINE)
        self.budget.text(len(line))
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise Damaged("a text in it has no closing quote")
        self._push(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))

    def old_text(self, width: int) -> None:
        # Python 2 had one type for text and bytes: latin-1 keeps every byte.
        self._push(self._inline(self._unsigned(width)).decode("latin-1"))

    def bytes(self, width: int) -> None:
        count = self._unsigned(width)
        if count <= INLINE_BYTES:
            self._push(self._inline(count))
        else:
            self.budget.container()
            start = self.cursor.skip(count)
            self._push(LazyBytes(self.cursor.source, start, count))

    # Containers

    def empty(self, kind: Callable[[], Any]) -> None:
        self.budget.container()
        self._push(kind())

    def tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise Damaged("its pickle takes a value where there is none")
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._push(items)

    def tuple_mark(self) -> None:
        self._push(tuple(self.pop_mark()))

    def list_mark(self) -> None:
        self.budget.container()
        self._push(self.pop_mark())

    def dict_mark(self) -> None:
        self.budget.container()
        items = self.pop_mark()
        target: dict[Any, Any] = {}
        self._set_items(target, items)
        self._push(target)

    def frozenset_mark(self) -> None:
        self.budget.container()
        self._push(frozenset(self._key(item) for item in self.pop_mark()))

    def append(self) -> None:
        value = self._pop()
        self._extend(self._top(), [value])

    def appends(self) -> None:
        items = self.pop_mark()
        self._extend(self._top(), items)

    def _extend(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, Node):  # a list of a class of its own
            target = target.state.setdefault("[list]", [])
        if not isinstance(target, list):
            raise Damaged("its pickle appends to something that is not a list")
        target.extend(items)

    def add_items(self) -> None:
        items = self.pop_mark()
        target = self._top()
        if not isinstance(target, set):
            raise Damaged("its pickle adds to something that is not a set")
        target.update(self._key(item) for item in items)

    def set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_items(self._top(), [key, value])

    def set_items(self) -> None:
        items = self.pop_mark()
        self._set_items(self._top(), items)

    def _set_items(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, Node):  # a dictionary of a class of its own
            target = target.state.setdefault("[items]", {})
        if not isinstance(target, dict):
            raise Damaged("its pickle sets an item of something that is not a dictionary")
        if len(items) % 2:
            raise Damaged("a dictionary in it has a key without a value")
        for index in range(0, len(items), 2):
            target[self._key(items[index])] = items[index + 1]

    def _key(self, key: Any) -> Any:
        return checked_key(key, self.budget)

    # Memo

    def put(self, index: int) -> None:
        self._memo[index] = self._top()

    def get(self, index: int) -> None:
        try:
            self._push(self._memo[index])
        except KeyError:
            raise Damaged("its pickle refers to a value that it does not hold") from None

    def put_line(self) -> None:
        self.put(_whole(self.cursor.line(MAX_NAME)))

    def get_line(self) -> None:
        self.get(_whole(self.cursor.line(MAX_NAME)))

    def memoize(self) -> None:
        self.put(len(self._memo))

    # Names and objects

    def _name(self, module: Any, name: Any) -> ClassRef:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Damaged("its pickle asks for something whose name is not text")
        if len(module) > MAX_NAME or len(name) > MAX_NAME:
            raise Refused("it asks for something with an absurdly long name")
        return self.builder.find(module, name)

    def global_line(self) -> None:
        module = self.cursor.line(MAX_NAME).decode("utf-8")
        name = self.cursor.line(MAX_NAME).decode("utf-8")
        self._push(self._name(module, name))

    def stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._push(self._name(module, name))

    def _construct(self, callee: Any, args: Any, kwargs: Any = None) -> None:
        if not isinstance(callee, ClassRef):
            raise Refused(f"it tries to call a {type_of(callee)}, as only a program does")
        if not isinstance(args, tuple):
            raise Damaged("the arguments of a construction are not a tuple")
        if kwargs is not None and not isinstance(kwargs, dict):
            raise Damaged("the named arguments of a construction are not a dictionary")
        self.budget.container()
        self._push(self.builder.construct(callee, args, kwargs or {}))

    def reduce(self) -> None:
        args, callee = self._pop(), self._pop()
        self._construct(callee, args)

    def newobj_ex(self) -> None:
        kwargs, args, callee = self._pop(), self._pop(), self._pop()
        self._construct(callee, args, kwargs)

    def inst(self) -> None:
        module = self.cursor.line(MAX_NAME).decode("utf-8")
        name = self.cursor.line(MAX_NAME).decode("utf-8")
        self._construct(self._name(module, name), tuple(self.pop_mark()))

    def obj(self) -> None:
        items = self.pop_mark()
        if not items:
            raise Damaged("its pickle takes a value where there is none")
        self._construct(items[0], tuple(items[1:]))

    def build(self) -> None:
        state = self._pop()
        self.builder.set_state(self._top(), state)

    def binpersid(self) -> None:
        self._push(self.builder.persistent(self._pop()))

    def persid(self) -> None:
        self._push(self.builder.persistent(self.cursor.line(MAX_NAME).decode("utf-8")))

    def extension(self) -> None:
        raise Refused(
            "it refers to a class by a number of Python's extension registry, as no model file does"
        )

    def buffer(self) -> None:
        raise Refused("parts of it were kept outside the file when it was written")

    # Framing

    def proto(self) -> None:
        version = self.cursor.byte()
        if version > 5:
            raise Damaged(f"it claims the pickle protocol {version}, which does not exist")

    def frame(self) -> None:
        count = self._unsigned(8)
        if self.cursor.tell() + count > self.cursor.end:
            raise Damaged(f"it ends at byte {self.cursor.end}, before its data does")


def _whole(text: bytes) -> int:
    if len(text) > 2 * MAX_INT_BYTES:
        raise Refused(f"it holds a whole number of {len(text)} digits")
    return int(text)


Operation = Callable[[PickleMachine], None]
_M = PickleMachine
_TABLE: dict[int, Operation] = {
    # numbers and constants
    ord("N"): lambda m: m._push(None),
    0x88: lambda m: m._push(True),
    0x89: lambda m: m._push(False),
    ord("I"): _M.int_line,
    ord("L"): _M.long_line,
    ord("F"): _M.float_line,
    ord("J"): _M.binint,
    ord("K"): lambda m: m._push(m.cursor.byte()),
    ord("M"): lambda m: m._push(m._unsigned(2)),
    ord("G"): _M.binfloat,
    0x8A: lambda m: m.long(1),
    0x8B: lambda m: m.long(4),
    # text and bytes
    ord("V"): _M.text_line,
    ord("X"): lambda m: m.text(4),
    0x8C: lambda m: m.text(1),
    0x8D: lambda m: m.text(8),
    ord("S"): _M.old_text_line,
    ord("T"): lambda m: m.old_text(4),
    ord("U"): lambda m: m.old_text(1),
    ord("C"): lambda m: m.bytes(1),
    ord("B"): lambda m: m.bytes(4),
    0x8E: lambda m: m.bytes(8),
    0x96: lambda m: m.bytes(8),
    # containers
    ord("}"): lambda m: m.empty(dict),
    ord("]"): lambda m: m.empty(list),
    0x8F: lambda m: m.empty(set),
    ord(")"): lambda m: m._push(()),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("t"): _M.tuple_mark,
    ord("l"): _M.list_mark,
    ord("d"): _M.dict_mark,
    0x91: _M.frozenset_mark,
    ord("a"): _M.append,
    ord("e"): _M.appends,
    0x90: _M.add_items,
    ord("s"): _M.set_item,
    ord("u"): _M.set_items,
    # stack and memo
    ord("("): _M.mark,
    ord("0"): _M.pop,
    ord("1"): _M.drop_mark,
    ord("2"): _M.dup,
    ord("p"): _M.put_line,
    ord("q"): lambda m: m.put(m.cursor.byte()),
    ord("r"): lambda m: m.put(m._unsigned(4)),
    ord("g"): _M.get_line,
    ord("h"): lambda m: m.get(m.cursor.byte()),
    ord("j"): lambda m: m.get(m._unsigned(4)),
    0x94: _M.memoize,
    # names and objects
    ord("c"): _M.global_line,
    0x93: _M.stack_global,
    ord("R"): _M.reduce,
    0x81: _M.reduce,  # NEWOBJ: cls.__new__(cls, *args); a stand-in makes no difference
    0x92: _M.newobj_ex,
    ord("i"): _M.inst,
    ord("o"): _M.obj,
    ord("b"): _M.build,
    ord("Q"): _M.binpersid,
    ord("P"): _M.persid,
    0x82: _M.extension,
    0x83: _M.extension,
    0x84: _M.extension,
    0x97: _M.buffer,
    0x98: _M.buffer,
    # framing
    0x80: _M.proto,
    0x95: _M.frame,
}
