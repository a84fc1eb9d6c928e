#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of tce-map: test_tce_map.py [DUMP...], with files that a kernel wrote."""
import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock as mock
import xml.etree.ElementTree
import zlib

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tce-map")
DUMPS = []


def load():
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("tce_map", TOOL)
    spec = importlib.util.spec_from_loader("tce_map", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


M = load()
HEAD = "table=7 start=0x0 page_shift=16 tces={} levels={} level_shift={} view=1"


def dump_of(used, bits=31, levels=4, level_shift=12, prefix=""):
    """What the kernel would say of these TCEs"""
    lines = [HEAD.format(1 << bits, levels, level_shift)]
    size = 1 << (level_shift - 3)
    leaves = sorted({i // size for i in used})
    for base in (n * size + part for n in leaves for part in range(0, size, 512)):
        here = sorted(i - base for i in used if 0 <= i - base < 512)
        runs = []
        for i in here:
            if runs and runs[-1][0] + runs[-1][1] == i:
                runs[-1][1] += 1
            else:
                runs.append([i, 1])
        lines.append(" ".join([f"{base:x}", f"{len(here):x}"] +
                              [f"{a:x}+{n:x}" for a, n in runs]))
    return [prefix + line + "\n" for line in lines]


def random_sets(seed):
    rnd = random.Random(seed)
    bits = rnd.choice((12, 18, 31))
    used = set()
    for _ in range(rnd.randrange(1, 60)):
        first = rnd.randrange(1 << bits)
        used |= set(range(first, min(first + rnd.randrange(1, 40), 1 << bits)))
    return bits, used


class Tests(unittest.TestCase):
    def test_sets(self):
        for seed in range(50):
            bits, a = random_sets(seed)
            levels = max(1, -(-bits // 9))
            b = {i for i in a if i * seed % 3} | {1, 2, 3}
            da = M.Dump(dump_of(a, bits, levels))
            db = M.Dump(dump_of(b, bits, levels))
            self.assertEqual({i for x, y in da.used for i in range(x, y)}, a)
            self.assertEqual(len(da.used), len(a))
            for first, end in ((0, 1 << bits), (5, 1 << bits - 1), (0, 1)):
                self.assertEqual(da.used.count(first, end),
                                 sum(first <= i < end for i in a))
            gone = da.used.minus(db.used)
            self.assertEqual({i for x, y in gone for i in range(x, y)}, a - b)
            picture = M.Picture(db, da)
            self.assertEqual([len(layer[3]) for layer in picture.layers],
                             [len(a & b), len(b - a), len(a - b)])

    def test_console(self):
        lines = dump_of({1, 2, 9}, prefix="[   1.0] tce:   # x.c:1:| ")
        junk = ["[   1.1] tce:   # === map begin ===\n"]
        self.assertEqual(list(M.Dump(junk + lines + junk).used),
                         [(1, 3), (9, 10)])

    def test_wrong_input(self):
        good = dump_of({1, 2, 9})
        for bad in ([], good[1:], good + good, good + ["0 1 0+2\n"],
                    good + ["80000000 1 0+1\n"], good + good[1:]):
            with self.assertRaises(ValueError):
                M.Dump(bad)
        with self.assertRaises(ValueError):
            M.Picture(M.Dump(good), M.Dump(dump_of({1}, 20, 3)))

    def test_screen(self):
        for seed in range(40):
            bits, used = random_sets(seed)
            picture = M.Picture(M.Dump(dump_of(used, bits, -(-bits // 9))))
            for rows, width in ((24, 80), (50, 132)):
                lines = list(M.terminal(picture, width, rows, "ascii"))
                self.assertLess(len(lines), rows)
                self.assertIn(f"{len(used):,} in use", lines[2])
                self.assertTrue(all(len(line) <= width for line in lines))
                for line in lines:
                    self.assertTrue(line.isascii())

    def test_every_tce_is_seen(self):
        for index in (0, 12345678, (1 << 31) - 1):
            picture = M.Picture(M.Dump(dump_of({index})))
            self.assertEqual(len(M.strip(picture, 0, 1 << 31, 80, "ascii")
                                 .replace(".", "")), 1)

    def test_full_window(self):
        size = 1 << 31
        dump = M.Dump(dump_of({0}))
        dump.used = M.Runs([(0, size)])
        picture = M.Picture(dump)
        self.assertEqual(M.strip(picture, 0, size, 70, "ascii"), "#" * 70)

    def check_pictures(self, picture):
        svg = M.draw(picture, M.Svg)
        self.assertTrue(xml.etree.ElementTree.fromstring(svg).tag.endswith("svg"))
        self.assertLess(len(svg), 400000)
        self.assertEqual(svg, M.draw(picture, M.Svg))
        png = M.draw(picture, M.Png)
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        at, data = 8, b""
        while at < len(png):
            size = int.from_bytes(png[at:at + 4], "big")
            body = png[at + 4:at + 8 + size]
            self.assertEqual(zlib.crc32(body),
                             int.from_bytes(png[at + 8 + size:at + 12 + size],
                                            "big"))
            if body[:4] == b"IHDR":
                width, height = (int.from_bytes(body[i:i + 4], "big")
                                 for i in (4, 8))
            if body[:4] == b"IDAT":
                data += body[4:]
            at += 12 + size
        self.assertEqual(len(zlib.decompress(data)), (3 * width + 1) * height)

    def test_pictures(self):
        for seed in range(6):
            bits, used = random_sets(seed)
            levels = -(-bits // 9)
            new = M.Dump(dump_of(used, bits, levels))
            old = M.Dump(dump_of({0, 1, 2}, bits, levels))
            self.check_pictures(M.Picture(new))
            self.check_pictures(M.Picture(new, old))

    def test_dumps_of_a_kernel(self):
        for name in DUMPS:
            with open(name, encoding="utf-8", errors="replace") as f:
                picture = M.Picture(M.Dump(f, name))
            self.assertLess(0, len(picture.dump.used))
            self.assertLess(0, len(list(M.terminal(picture, 80, 24, "ascii"))))
            self.check_pictures(picture)

    def test_command(self):
        with tempfile.TemporaryDirectory() as where:
            old, new, svg = (os.path.join(where, f)
                             for f in ("old", "new", "x.svg"))
            for name, used in ((old, {1, 2}), (new, {2, 3})):
                with open(name, "w", encoding="utf-8") as f:
                    f.writelines(dump_of(used))
            out = subprocess.run([TOOL, "--ascii", "--diff", old, new],
                                 check=True, capture_output=True, text=True)
            self.assertIn("1 stayed (=), 1 came (+), 1 went (-)", out.stdout)
            self.assertIn("- 0x10000..0x1ffff 1 TCE\n", out.stdout)
            self.assertIn("+ 0x30000..0x3ffff 1 TCE\n", out.stdout)
            subprocess.run([TOOL, "--svg", svg, new], check=True)
            self.assertLess(1000, os.path.getsize(svg))
            bad = subprocess.run([TOOL, TOOL], capture_output=True, text=True,
                                 check=False)
            self.assertEqual(bad.returncode, 1)
            self.assertIn("tce-map: ", bad.stderr)

    def host(self, where):
        """A host with a guest's window, as files that a kernel wrote"""
        table = "sys/kernel/debug/spapr_tce/table-7/"
        files = {
            table + "info": INFO, table + "holders": HOLDERS,
            table + "map": "".join(dump_of({0, 1 << 27})),
            "sys/kernel/tracing/instances/tce-map/trace_pipe": EVENTS,
            "sys/kernel/iommu_groups/5/devices/0001:01:00.0/x": "",
            "proc/version": "Linux version 6.12.117+tce-powerpc64le\n",
            "proc/cpuinfo": "processor\t: 0\nplatform\t: PowerNV\n",
            "proc/812/comm": "qemu-system-ppc\n",
            "proc/812/status": "VmPeak:  1 kB\nVmLck:\t   65856 kB\n",
            "proc/812/limits": "Max locked memory  603979776  603979776  bytes\n",
            "dmesg": "spapr_tce: 0x20000 bytes at 0x7fff80000000 are not all "
                     "registered\nusb 1-1: new\npci 0001:01     : [PE# 01] DMA window#0 "
                     "0..7fffffff, pages of 10000, levels 1\n",
        }
        for event in M.TRACED:
            files["sys/kernel/tracing/instances/tce-map/events/spapr_tce/"
                  f"{event}/enable"] = ""
        for name, text in files.items():
            name = os.path.join(where, name)
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, "w", encoding="utf-8") as f:
                f.write(text)
        return M.Host(where)

    def test_report(self):
        with tempfile.TemporaryDirectory() as where:
            self.host(where)
            out = subprocess.run([TOOL, "--report", "--root", where], check=True,
                                 capture_output=True, text=True).stdout
        for line in ("kernel: Linux version 6.12.117+tce-powerpc64le",
                     "machine: platform\t: PowerNV",
                     "group 5: 0001:01:00.0 (no driver)",
                     "table 7: 128 TiB at 0x0, 2 of 2,147,483,648 TCEs of 64 KiB in "
                     "use, 36 KiB of levels, 64 KiB charged; qemu-system-ppc (812) "
                     "group 5, qemu-system-ppc (812) guest's 0x80000001",
                     "process 812: 67,436,544 bytes locked, of 603,979,776",
                     "the kernel's log: 2 lines, the last:"):
            self.assertIn(line + "\n", out)
        self.assertIn("DMA window#0", out.splitlines()[-1])

    def test_report_without_windows(self):
        with tempfile.TemporaryDirectory() as where:
            os.makedirs(os.path.join(where, "sys/kernel/debug/spapr_tce"))
            out = subprocess.run([TOOL, "--report", "--root", where], check=True,
                                 capture_output=True, text=True).stdout
        self.assertIn("windows: none\n", out)

    def test_watch(self):
        with tempfile.TemporaryDirectory() as where:
            host = self.host(where)
            host.start_trace()
            lines = list(M.watch(host, 2.0, 28))
            with open(os.path.join(host.trace, "events/spapr_tce/tce_map/enable"),
                      encoding="utf-8") as f:
                self.assertEqual(f.read(), "1")
            # what was asked before is not asked again
            self.assertIn("    0 requests/s for 0 TCEs/s; ", list(M.watch(host, 1, 80))[2])
        self.assertEqual(lines[0], "1 table, 65,536 bytes charged")
        self.assertIn("    2 requests/s for 258 TCEs/s, 1 FAILED; qemu-system", lines[2])
        self.assertEqual(lines[3], "    ::" + "." * 18)

    def check_switched_off(self, number, count=-1, **patches):
        """A watch that @patches cut short by signals takes its instance away"""
        ours = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
        handlers = {n: signal.getsignal(n) for n in ours}
        try:
            with tempfile.TemporaryDirectory() as where, \
                    contextlib.redirect_stdout(io.StringIO()), \
                    mock.patch.object(M.time, "sleep", patches.get("sleep")), \
                    mock.patch.object(M, "on_signals", patches.get("on_signals", M.on_signals)), \
                    mock.patch.object(M.os, "open", patches.get("open", os.open)), \
                    mock.patch.object(M.os, "rmdir", side_effect=patches.get("rmdir")) as gone:
                self.host(where)
                M.live(argparse.Namespace(report=False, root=where, watch=1.0,
                                          count=count, width=80))
                self.assertEqual(gone.call_count, 1)
        except KeyboardInterrupt:
            self.fail(f"signal {number} while the events are switched off")
        finally:
            for handler in handlers.items():
                signal.signal(*handler)

    def test_events_are_switched_off(self):
        on_signals = M.on_signals
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            def end(*_, number=number):
                os.kill(os.getpid(), number)

            # ... and once more before it is ignored
            def ignored(handler, again=[end]):
                if handler == signal.SIG_IGN and again:
                    again.pop()()
                on_signals(handler)

            self.check_switched_off(number, sleep=end)
            self.check_switched_off(number, sleep=end, on_signals=ignored)
            self.check_switched_off(number, count=1, sleep=mock.Mock(), rmdir=end)
            self.check_switched_off(number, sleep=None, open=end)

    def test_no_host(self):
        with tempfile.TemporaryDirectory() as where:
            bad = subprocess.run([TOOL, "--watch", "--root", where], check=False,
                                 capture_output=True, text=True)
        self.assertEqual(bad.returncode, 1)
        self.assertIn("not root", bad.stderr)


INFO = """table           7
start           0x0
page_shift      16
tces            2147483648
levels          4
level_shift     12
in_memory       1
node            0
leaves          2
bytes           36864
view_bytes      8192
charged         65536
used            2
closed          0
"""
HOLDERS = """container pid=812 group=5
kvm pid=812 group=5 liobn=0x80000001
"""
EVENTS = """ qemu-812 [0] ..... 21.1: tce_map: table=7 ioba=0x0 npages=2 ua=0x7fff10 levels=0 ret=0
 qemu-812 [0] ..... 21.2: tce_map: table=8 ioba=0x0 npages=2 ua=0x7fff10 levels=0 ret=0
 qemu-812 [0] ..... 21.3: tce_unmap: table=7 ioba=0x0 npages=1 ret=-22
 qemu-812 [0] ..... 21.4: kvm_tce_hcall: hcall=H_STUFF_TCE liobn=80000001 ioba=0 npages=512 ret=0 real=0
 qemu-812 [0] ..... 21.5: kvm_tce_hcall: hcall=H_PUT_TCE liobn=80000001 ioba=0 npages=1 ret=0 real=0
"""


if __name__ == "__main__":
    DUMPS = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
