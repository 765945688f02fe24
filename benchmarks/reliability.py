"""Strange, broken and treacherous files through the product: is what comes out right and clean?

Every kind of file in `benchmarks/corpus` (made of people who don't exist) is anonymized as in a
folder run, under the metadata policies "clean" and "keep". A byte-level carver takes every picture
out of what was written; a face counts as left if the encoder takes it for the original one at a
false match rate of 1e-3. The same carver has to find the hidden faces in the inputs, or its silence
would mean nothing. Afterwards, runs over a folder are killed at random moments.

Run as ``python -m benchmarks.reliability`` in the root of the repository.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anonyface.batch import output_path
from anonyface.types import FloatArray
from benchmarks.carver import carve
from benchmarks.contract import Asked, print_asked, print_table
from benchmarks.corpus.kinds import Kind, Sitter
from benchmarks.corpus.people import make_sitter
from benchmarks.corpus.registry import GROUPS, KINDS
from benchmarks.interrupted import Interrupted, interrupt_runs
from benchmarks.kept import PROPERTIES, lost
from benchmarks.records import RESULTS, build_record, write_record
from benchmarks.remains import Judge, words_left
from benchmarks.worker import Answer, Worker

POLICIES = ("clean", "keep")
NEVER = ("gps", "serials", "regions", "previews")
"""Groups of words that may be in no output; captions may be under "keep"."""


@dataclass
class Case:
    """One kind of file under one policy.

    Attributes:
        kind: The kind.
        policy: The metadata policy.
        answer: What the product said.
        litter: Files in the output folder that should not be there.
        faces: Pictures in the output with the old face.
        pictures: Pictures searched.
        words: What the metadata says too much.
        lost: Property -> whether it is lost; empty where nothing was written.
        input_changed: Whether the input is another file now.
    """

    kind: Kind
    policy: str
    answer: Answer
    litter: list[str] = field(default_factory=list)
    faces: list[str] = field(default_factory=list)
    pictures: int = 0
    words: list[str] = field(default_factory=list)
    lost: dict[str, bool] = field(default_factory=dict)
    input_changed: bool = False

    @property
    def problems(self) -> list[str]:
        """Return all that is wrong, nothing for a right result or a proper refusal."""
        answer, kind = self.answer, self.kind
        out = [f"left over: {name}" for name in self.litter]
        out += [f"old face in {where}" for where in self.faces]
        out += self.words
        out += [f"lost: {name}" for name, is_lost in self.lost.items() if is_lost]
        if self.input_changed:
            out.append("the input was changed")
        if answer.chatter:
            out.append(f"printed {answer.chatter[-200:]!r}")
        if answer.status == "failed":
            if kind.expected == "ok":
                out.append(f"refused: {answer.error}")
            if not answer.on_purpose:
                out.append(f"internal error: {answer.kind}: {answer.error}")
            elif not answer.error or len(answer.error.splitlines()) != 1:
                out.append(f"not one line: {answer.error!r}")
        elif answer.status != "done":
            out.append(answer.status)
        elif kind.expected == "error":
            out.append("accepted")
        return out


def try_kind(
    kind: Kind, policy: str, worker: Worker, judge: Judge, known: Sequence[FloatArray],
    sitter: Sitter, folder: Path,
) -> Case:  # fmt: skip
    """Run one kind of file through the product and judge what comes out."""
    path = kind.write(sitter, folder / "in")
    before = _digest(path)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    target = output_path(path, out_dir=out)
    case = Case(kind, policy, worker.run(path, target))
    case.input_changed = _digest(path) != before
    written = case.answer.status == "done"
    case.litter = [p.name for p in out.iterdir() if not (written and p.name == target.name)]
    if written:
        haul = carve(target.read_bytes())
        case.pictures = len(haul.pictures)
        case.faces = [find.where for find in judge.recognise(haul.pictures, known)]
        groups = (*NEVER, "iptc") if policy == "clean" else NEVER
        case.words = words_left(haul, groups=groups)
        try:
            case.lost = lost(target, kind.keeps, sitter)
        except OSError as error:
            case.lost = {f"readable ({error})": True}
    return case


def _digest(path: Path) -> str | None:
    """Return the digest of a plain file of a usual size, None for anything else."""
    try:
        if not path.is_file() or path.stat().st_size > 10**8:
            return None
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def hidden_found(
    kinds: Sequence[Kind], judge: Judge, known: Sequence[FloatArray], sitter: Sitter
) -> dict[str, bool]:
    """Say for each kind that hides a face whether carver and judge find it in the input.

    The photo itself shows the face, too: there must be a second picture that does.
    """
    found = {}
    for kind in kinds:
        if kind.hides:
            pictures = carve(kind.build(sitter)).pictures
            found[kind.name] = len(judge.recognise(pictures, known)) >= 2
    return found


def run_corpus(options: argparse.Namespace, judge: Judge, sitter: Sitter) -> list[Case]:
    """Run every kind under every policy."""
    known = judge.known(sitter.photo)
    kinds = [kind for kind in KINDS if options.only in kind.name]
    cases = []
    for policy in POLICIES:
        settings = {
            "metadata": policy, "method": options.method, "seed": options.seed,
            "threads": options.threads,
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            with Worker(settings, place / "log") as worker:
                for number, kind in enumerate(kinds):
                    case = try_kind(kind, policy, worker, judge, known, sitter, place / str(number))
                    for problem in case.problems:
                        print(f"{policy}: {kind.name}: {problem}", flush=True)
                    cases.append(case)
    return cases


def kept_table(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    """Return for each property in how many outputs it was judged and is lost."""
    return {
        name: {
            "judged": sum(name in case.lost for case in cases),
            "lost": sum(case.lost.get(name, False) for case in cases),
        }
        for name in PROPERTIES
    }


def summary(
    cases: Sequence[Case], found: dict[str, bool], runs: Interrupted | None
) -> dict[str, Any]:
    """Return the figures."""
    group_of = {kind.name: group for group, kinds in GROUPS.items() for kind in kinds}
    broken = [c for c in cases if c.kind.expected != "ok"]
    return {
        "hidden_faces_planted": len(found),
        "hidden_faces_found_in_inputs": sum(found.values()),
        "hidden_faces_not_found_in_inputs": [name for name, there in found.items() if not there],
        "outputs": sum(c.answer.status == "done" for c in cases),
        "refusals": sum(c.answer.status == "failed" for c in cases),
        "pictures_searched": sum(c.pictures for c in cases),
        "outputs_with_the_old_face": sum(bool(c.faces) for c in cases),
        "outputs_that_say_too_much": sum(bool(c.words) for c in cases),
        "files_that_may_fail": len(broken),
        "files_that_may_fail_right": sum(not c.problems for c in broken),
        "crashed": sum(c.answer.status == "crashed" for c in cases),
        "hung": sum(c.answer.status == "hung" for c in cases),
        "internal_errors": sum(
            c.answer.status == "failed" and not c.answer.on_purpose for c in cases
        ),
        "partial_or_stray_files": sum(bool(c.litter) for c in cases),
        "inputs_changed": sum(c.input_changed for c in cases),
        "kinds_with_problems": sorted({c.kind.name for c in cases if c.problems}),
        "by_group": {
            group: {
                "files": sum(group_of[c.kind.name] == group for c in cases),
                "right": sum(group_of[c.kind.name] == group and not c.problems for c in cases),
            }
            for group in GROUPS
        },
        "kept": kept_table(cases),
        "slowest_s": max(c.answer.seconds for c in cases),
        "peak_mb": max(c.answer.peak_mb for c in cases),
        "interrupted": None if runs is None else runs.figures(),
    }


def asked_rows(figures: dict[str, Any]) -> list[Asked]:
    """Return what the project was asked for beside what was measured."""
    planted, outputs = figures["hidden_faces_planted"], figures["outputs"]
    rows = [
        Asked(
            f"hidden faces of {planted} that carver and judge find in the inputs",
            figures["hidden_faces_found_in_inputs"], ">=", planted,
        ),
        Asked(
            f"old face in any part of the output, of {outputs} files with "
            f"{figures['pictures_searched']} pictures",
            figures["outputs_with_the_old_face"], "<=", 0,
        ),
        Asked(
            f"GPS, serials, face regions, previews named, of {outputs} files",
            figures["outputs_that_say_too_much"], "<=", 0,
        ),
        Asked(
            f"broken inputs: right result or one-line error, share of "
            f"{figures['files_that_may_fail']}",
            figures["files_that_may_fail_right"] / max(1, figures["files_that_may_fail"]),
            ">=", 1,
        ),
        Asked("crashes, hangs, internal errors",
              figures["crashed"] + figures["hung"] + figures["internal_errors"], "<=", 0),
        Asked("partial files", figures["partial_or_stray_files"], "<=", 0),
    ]  # fmt: skip
    for name, counts in figures["kept"].items():
        rows.append(Asked(f"{name} lost, of {counts['judged']} files", counts["lost"], "<=", 0))
    return rows


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description="strange and broken files, killed runs")
    parser.add_argument("--method", default="synthetic", help="of the corpus")
    parser.add_argument("--only", default="", help="kinds whose name holds this: a try")
    parser.add_argument("--kills", type=int, default=20, help="folder runs that are killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    sitter, judge = make_sitter(threads=options.threads), Judge(threads=options.threads)
    kinds = [kind for kind in KINDS if options.only in kind.name]
    found = hidden_found(kinds, judge, judge.known(sitter.photo), sitter)
    cases = run_corpus(options, judge, sitter)
    runs = interrupt_runs(options.kills, seed=options.seed, threads=options.threads)
    figures = summary(cases, found, runs)
    show(figures)
    asked = asked_rows(figures) + runs.asked()
    print_asked(asked)
    counts = {
        "kinds": len(kinds),
        "policies": list(POLICIES),
        "files": len(cases),
        "status": dict(Counter(case.answer.status for case in cases)),
        "faces": dict(Counter(action for case in cases for action in case.answer.actions)),
        "kills": options.kills,
    }
    record = build_record(
        "reliability", settings=vars(options), counts=counts, figures=figures, asked=asked
    )
    write_record(record, options.results)


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    plain = [(k, v) for k, v in figures.items() if not isinstance(v, dict | list)]
    print_table(("reliability", "value"), plain)
    rows = [(g, f"{v['right']} of {v['files']}") for g, v in figures["by_group"].items()]
    print_table(("group", "right"), rows)
    rows = [(n, f"{v['judged'] - v['lost']} of {v['judged']}") for n, v in figures["kept"].items()]
    print_table(("property", "kept"), rows)
    for name in figures["kinds_with_problems"]:
        print(f"problems with: {name}")


if __name__ == "__main__":
    main()
