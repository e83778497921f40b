"""Commands for gdb that know the heap of a program, alive or as a core file, whose scalloc has debug information.

    (gdb) source scalloc-gdb.py
    (gdb) scalloc block ADDRESS     the span and the block that an address lies in, and whether the block is live
    (gdb) scalloc spans             spans, blocks and bytes of each class, and what else there is

Both only read memory; nothing is called in the program. Core files must be the kernel's: those that gdb itself writes lack zones.
"""
import gdb

SPAN_SHIFT, SLOT_SHIFT, GRANULE_SHIFT, CELL_SHIFT = 21, 7, 3, 15
HEAD_BITS, COUNT_BITS = 18, 19
STATES = ("FREE", "HOT", "FLOATING", "REUSABLE", "LARGE", "TAIL", "RUN", "LENT")
KINDS = ("a thread", "a first-class heap", "a heap of one user", "orphans")
NURSERY_BLOCK, OWNER_SHARED, GUARD = 1, 1, 1 << 16
NOTE_LINK = (1 << 31) - 1


def arena():
    for name in ("scalloc_private_arena", "arena"):
        symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
        if symbol is None:
            continue
        kind = symbol.type.strip_typedefs()
        if kind.code == gdb.TYPE_CODE_STRUCT and "spans" in kind.keys():
            return symbol.value()
    raise gdb.GdbError("no scalloc with debug information in this program (build it with -g)")


class Span:
    def __init__(self, where, index):
        self.arena, self.index = where, index
        slot = int(where["table"]) + (index << SLOT_SHIFT)
        self.slot = gdb.Value(slot).cast(gdb.lookup_type("span").pointer()).dereference()
        self.start = int(where["base"]) + (index << SPAN_SHIFT)
        word = int(self.slot["word"])
        self.head = word & ((1 << HEAD_BITS) - 1)
        self.count = word >> HEAD_BITS & ((1 << COUNT_BITS) - 1)
        self.state = STATES[word >> (HEAD_BITS + COUNT_BITS) & 7]

    def field(self, name):
        return int(self.slot[name])

    def is_nursery(self):
        return self.state == "HOT" and self.field("block") == NURSERY_BLOCK

    def has_blocks(self):
        return self.state in ("HOT", "FLOATING", "REUSABLE") and not self.is_nursery()

    def is_tracked(self):
        """Does the build keep links outside the blocks (link.h)? Then there is more than a guard between two of its zones."""
        return int(self.arena["live"]) - int(self.arena["notes"]) > GUARD

    def live(self):
        return self.field("used") - self.count

    def length(self):
        """Spans from this one to the next that stands for itself."""
        return max(1, self.field("run")) if self.state in ("LARGE", "RUN", "LENT") else 1

    def owner(self):
        address = self.field("owner") & ~OWNER_SHARED
        if address == 0:
            return "nobody"
        heap = gdb.Value(address).cast(gdb.lookup_type("struct scalloc_heap").pointer())
        return "%s (%#x)%s" % (KINDS[int(heap["kind"])], address, ", shared" if self.field("owner") & OWNER_SHARED else "")

    def next_of(self, block):
        if not self.is_tracked():
            return int(gdb.Value(block).cast(gdb.lookup_type("unsigned long").pointer()).dereference())
        link = int(self.arena["notes"][(block - int(self.arena["base"])) >> GRANULE_SHIFT]) & NOTE_LINK
        return self.start + ((link - 1) << GRANULE_SHIFT) if link else 0

    def is_quarantined(self, block):
        """Freed, and on no list yet."""
        if not self.is_tracked():
            return False
        granule = (block - int(self.arena["base"])) >> GRANULE_SHIFT
        return not int(self.arena["live"][granule // 64]) >> granule % 64 & 1

    def list_with(self, block):
        """The name of the list of free blocks that has it, or None. Lists that are damaged end where they leave the span."""
        remote = self.start + (self.head << GRANULE_SHIFT) if self.count else 0
        most = (self.field("bump") - self.field("first")) // self.field("block")
        for name, at in (("free", self.field("free")), ("spare", self.field("spare")), ("remote", remote)):
            for _ in range(self.count if name == "remote" else most):
                if at == block:
                    return name
                if not self.start <= at < self.start + (1 << SPAN_SHIFT):
                    break
                at = self.next_of(at)
        return None


def size_text(size):
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 10240 or unit == "GiB":
            return "%d %s" % (size, unit)
        size //= 1024


def block_text(span, address):
    size, first = span.field("block"), span.field("first")
    offset = address - span.start
    if offset < first:
        return "before the first block of the span"
    index = (offset - first) // size
    block = span.start + first + index * size
    if block + size > span.start + (1 << SPAN_SHIFT):
        return "behind the last block of the span"
    text = "block %d, %#x to %#x, %d bytes, offset %d: " % (index, block, block + size, size, address - block)
    if first + index * size >= span.field("bump"):
        return text + "never handed out"
    name = span.list_with(block)
    if name is None and span.is_quarantined(block):
        return text + "freed, in quarantine"
    return text + ("live" if name is None else "free, on the list `%s`" % name)


def head_of(span):
    """The first span of the large block or free run that a span is a part of; itself if that is not known."""
    if span.state not in ("TAIL", "FREE"):
        return span
    index = span.index
    while index > 0 and span.index - index < 4096:
        index -= 1
        before = Span(span.arena, index)
        if before.state not in ("TAIL", "FREE"):
            return before if before.state in ("LARGE", "RUN", "LENT") and index + before.length() > span.index else span
    return span


def describe(address):
    where = arena()
    offset = address - int(where["base"])
    if not 0 <= offset < int(where["opened"]):
        return "%#x: not in the arena" % address
    span = head_of(Span(where, offset >> SPAN_SHIFT))
    text = "%#x: span %d at %#x, %s" % (address, span.index, span.start, span.state)
    if span.is_nursery():
        number = (offset & ((1 << SPAN_SHIFT) - 1)) >> CELL_SHIFT
        used, heads = span.field("cells") >> number & 1, span.field("cell_heads") >> number & 1
        return text + ", cells of young heaps; cell %d is %s" % (
            number, "free" if not used else "the first of heap %#x" % (span.start + (number << CELL_SHIFT)) if heads else "in use")
    if span.state == "LARGE":
        size = span.field("large_bytes")
        inside = address - span.start < size
        owner = ", of %s" % span.owner() if span.field("owner") else ""
        return text + "%s\none block of %d bytes, offset %d: %s" % (
            owner, size, address - span.start, "live" if inside else "behind its end")
    if span.has_blocks():
        return text + ", class of %d bytes, of %s; %d blocks live\n%s" % (
            span.field("block"), span.owner(), span.live(), block_text(span, address))
    return text


def totals():
    where = arena()
    classes, others, index, end = {}, {}, 1, int(where["next"])
    while index < end:
        span = Span(where, index)
        if span.has_blocks():
            row = classes.setdefault(span.field("block"), dict.fromkeys(("HOT", "FLOATING", "REUSABLE", "live", "carved"), 0))
            row[span.state] += 1
            row["live"] += span.live()
            row["carved"] += (span.field("bump") - span.field("first")) // span.field("block")
        else:
            name = "NURSERY" if span.is_nursery() else span.state
            count, size = others.get(name, (0, 0))
            others[name] = count + span.length(), size + span.field("large_bytes") * (name == "LARGE")
        index += span.length()
    return classes, others


class ScallocPrefix(gdb.Command):
    """Looks into the heap of scalloc."""

    def __init__(self):
        super().__init__("scalloc", gdb.COMMAND_DATA, prefix=True)


class ScallocBlock(gdb.Command):
    """scalloc block ADDRESS: the span and the block that an address lies in."""

    def __init__(self):
        super().__init__("scalloc block", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("scalloc block needs an address or an expression that is one")
        print(describe(int(gdb.parse_and_eval(argument)) & (1 << 64) - 1))


class ScallocSpans(gdb.Command):
    """scalloc spans: spans, blocks and bytes of each class."""

    def __init__(self):
        super().__init__("scalloc spans", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        classes, others = totals()
        print("%9s %6s %9s %9s %12s %12s  %s" % ("block", "hot", "floating", "reusable", "live", "carved", "live bytes"))
        for size, row in sorted(classes.items()):
            print("%9d %6d %9d %9d %12d %12d  %s" % (size, row["HOT"], row["FLOATING"], row["REUSABLE"], row["live"], row["carved"],
                                                     size_text(size * row["live"])))
        for name, (count, size) in sorted(others.items()):
            print("%9s %6d spans%s" % (name.lower(), count, ", %s in blocks" % size_text(size) if size else ""))


ScallocPrefix()
ScallocBlock()
ScallocSpans()
