"""`manage.py drill NAME`: plays a drill in an archive of its own, never in the one that is at work."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.test.utils import override_settings

from archive import data_folder, drill_erasure, drill_faults, drill_kills, drill_kills_proof, drill_restore, postgres
from archive.canaries import Canary, Hit
from archive.drill_copies import prepare
from archive.drill_injection import all_attacks
from archive.drill_insider import play

FAILED = 1


class Command(BaseCommand):
    """Your archive is not touched: a drill makes one of its own in a temporary folder, with a database server."""

    help = (
        "Play a drill in an archive of its own. `erasure`: plant canaries, erase by two persons, search everything. "
        "`insider`: attack it as the database's superuser and with stolen files, and tell what caught each attack. "
        "`restore`: put back an older backup of the database, and the ledger's newer entries from its export. "
        "`kills`: kill web server, sequencer, signer and database at random under load; nothing is lost. "
        "`faults`: kill a reception, or let disk and database fail it, at each of its system calls (needs strace). "
        "Exits 1 when something is found where nothing may be, an attack is not caught, or a restore goes wrong, "
        "or an act is lost, happens twice, or waits too long."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=["erasure", "faults", "insider", "kills", "restore"])
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--count", type=int, default=1000, help="kills: how many (default: 1000, half an hour)")
        parser.add_argument("--seed", type=int, default=None, help="kills: what is drawn; printed at the end")
        parser.add_argument("--every", type=int, default=1, help="faults: only each so many-th of them (default: all)")
        parser.add_argument("--keep", action="store_true", help="keep the drill's folder, and say where it is")
        parser.add_argument("--inside", metavar="FOLDER", help="play in this very archive, which must be empty")

    def handle(self, *args: Any, **options: Any) -> None:
        name: str = options["name"]
        if options["inside"]:
            plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # pages without set_up's files
            with override_settings(STORAGES=settings.STORAGES | {"staticfiles": plain}):
                call_command("migrate", interactive=False, verbosity=0)
                plays = {"erasure": self._erasure, "insider": self._insider, "restore": self._restore}
                plays |= {"kills": self._kills, "faults": lambda home: self._faults(home, options["every"])}
                plays[name](Path(options["inside"]))
            return
        home = Path(tempfile.mkdtemp(prefix="sanad-drill-"))
        home.chmod(0o711)  # the account that runs the database for root passes through
        try:
            if name == "kills":
                result = self._play_kills(home, options)
            else:
                more = ["--every", str(max(1, options["every"]))] if name == "faults" else []
                result = self._in_an_archive_of_its_own(home, name, more)
        finally:
            if options["keep"]:
                self.stderr.write(f"kept: {home}")
            else:
                shutil.rmtree(home, ignore_errors=True)
        if options["json"]:
            self.stdout.write(json.dumps(result, ensure_ascii=False, indent=1))
        else:
            tells = {"erasure": self._tell_erasure, "insider": self._tell_insider, "restore": self._tell_restore}
            (tells | {"kills": self._tell_kills, "faults": self._tell_faults})[name](result)
        if result["failed"]:
            raise CommandError("The drill failed.", returncode=FAILED)

    def _in_an_archive_of_its_own(self, home: Path, name: str, more: Sequence[str] = ()) -> dict[str, Any]:
        data = home / "data"
        data_folder.prepare(data)
        cluster = postgres.Cluster(data, durable=name in ("erasure", "faults", "kills"))  # others copy it whole
        cluster.start()
        try:
            environ = {name: value for name, value in os.environ.items() if not name.startswith("SANAD_")}
            environ |= {
                "SANAD_DATA": str(data),
                "SANAD_INSECURE_HTTP": "1",
                "DATABASE_URL": postgres.database_url(data),
                "DJANGO_SETTINGS_MODULE": "archive.settings",
            }
            command = [
                sys.executable,
                str(settings.BASE_DIR / "manage.py"),
                "drill",
                name,
                "--inside",
                str(home),
                *more,
            ]
            done = subprocess.run(command, env=environ, capture_output=True, text=True)
            if done.returncode:
                raise CommandError(f"The drill could not be played: {done.stderr.strip()[-2000:]}", returncode=FAILED)
        finally:
            cluster.stop()
        result: dict[str, Any] = json.loads((home / "result.json").read_text())
        if name == "erasure":
            planted = [
                Canary(name, tuple((writing, bytes.fromhex(needle)) for writing, needle in needles))
                for name, needles in result.pop("needles")
            ]
            for place, size, hits in drill_erasure.files_of_the_database(data, planted):
                self._count(result, place, size, hits, covered="log" not in place)
            result["failed"] = bool(result["found"] or result["wrong"] or not result["found_before"])
        return result

    def _play_kills(self, home: Path, options: dict[str, Any]) -> dict[str, Any]:
        if options["count"] < 1:
            raise CommandError("--count is at least 1.", returncode=FAILED)
        seed = options["seed"] if options["seed"] is not None else secrets.randbelow(2**32)
        self._in_an_archive_of_its_own(home, "kills")
        try:
            result = drill_kills.play(home, port=_free_port(), count=options["count"], seed=seed, say=self._progress)
        except drill_kills.NotPlayed as problem:
            raise CommandError(f"The drill failed (seed {seed}): {problem}", returncode=FAILED) from None
        proof = self._in_an_archive_of_its_own(home, "kills")
        return drill_kills.judged(result, proof)

    def _progress(self, text: str) -> None:
        self.stderr.write(text)
        self.stderr.flush()

    def _kills(self, home: Path) -> None:
        """Runs in the drill's own archive: first before the load, then after it."""
        if not (home / drill_kills_proof.TOLD).exists():
            drill_kills_proof.prepare(home, drill_kills.WRITERS)
            self._keep(home, {})
            return
        steps, recoveries = drill_kills_proof.prove(home)
        self._keep(home, {"steps": [asdict(step) for step in steps], "recoveries": recoveries})

    def _faults(self, home: Path, every: int) -> None:
        try:
            result = drill_faults.Drill(home).play(every)
        except drill_faults.NotPlayed as problem:
            raise CommandError(str(problem), returncode=FAILED) from None
        self._keep(home, asdict(result) | {"failed": bool(result.wrong)})

    def _insider(self, home: Path) -> None:
        told = [asdict(outcome) for outcome in play(prepare(home), all_attacks())]
        self._keep(home, {"attacks": told, "failed": not all(one["caught"] or one["known"] for one in told)})

    def _restore(self, home: Path) -> None:
        steps, lost = drill_restore.play(prepare(home))
        told = [asdict(step) for step in steps]
        self._keep(home, {"steps": told, "lost": asdict(lost), "failed": not all(step.good for step in steps)})

    def _erasure(self, home: Path) -> None:
        """Runs in the drill's own archive; leaves a result for the process that searches the stopped database."""
        stage = drill_erasure.prepare(home)
        result: dict[str, Any] = {"canaries": len(stage.canaries), "found_before": 0, "found": [], "not_covered": []}
        result |= {"places": [], "before": []}
        for place, size, hits in drill_erasure.search(stage):
            result["found_before"] += len(hits)
            result["before"].append({"place": place, "bytes": size, "found": len({hit.canary for hit in hits})})
        drill_erasure.erase(stage)
        for place, size, hits in drill_erasure.search(stage):
            self._count(result, place, size, hits, covered=True)
        result["wrong"] = drill_erasure.still_proven(stage)
        result["needles"] = [
            [canary.name, [[writing, needle.hex()] for writing, needle in canary.needles]] for canary in stage.canaries
        ]
        self._keep(home, result)

    @staticmethod
    def _keep(home: Path, result: dict[str, Any]) -> None:
        (home / "result.json").write_text(json.dumps(result))

    def _tell_insider(self, result: dict[str, Any]) -> None:
        self.stdout.write(f"{'attack':78} {'caught by':18} {'seconds':>7}")
        for one in result["attacks"]:
            by = (
                (one["by"] or "nothing found")
                if one["caught"]
                else "not caught, known"
                if one["known"]
                else "NOT CAUGHT"
            )
            self.stdout.write(f"{one['attack']:78} {by:18} {one['seconds']:7.2f}")
            if one["said"]:
                self.stdout.write(f"    {one['said']}")
        known = [one for one in result["attacks"] if one["known"] and not one["caught"]]
        missed = [one for one in result["attacks"] if not one["known"] and not one["caught"]]
        self.stdout.write(
            f"{len(result['attacks']) - 1} attacks, {len(missed)} not caught, and {len(known)} of which "
            "docs/threat-model.md says that nothing here shows them. Seconds from the end of the act, the watcher "
            "asked at once; by itself the signer looks every second, the scrub every hour."
        )

    def _tell_restore(self, result: dict[str, Any]) -> None:
        for step in result["steps"]:
            self.stdout.write(f"{'ok' if step['good'] else 'WRONG':6} {step['name']}")
            if step["said"]:
                self.stdout.write(f"           {step['said']}")
        lost = result["lost"]
        self.stdout.write(
            f"Lost with the newer database: {lost['values']} sealed values of {lost['entries']} entries, "
            f"{lost['items']} items, and whatever other rows were written since the backup. Of the entries' events "
            "there is left what their entries say: type, time, outcome, and commitments that whoever holds the values "
            "can still open."
        )
        for kind, count in lost["events"].items():
            self.stdout.write(f"    {count:4} {kind}")

    def _tell_kills(self, result: dict[str, Any]) -> None:
        for what, count in result["kills"].items():
            self.stdout.write(f"{count:6} times SIGKILL for a {what}")
        self.stdout.write(
            f"{sum(result['kills'].values())} kills in {result['seconds']:.0f} s (seed {result['seed']}), "
            f"{result['under_load']} of them after an act that had been acknowledged since the kill before; "
            f"{result['acknowledged']} acts acknowledged, {result['unanswered']} requests without an answer"
        )
        for step in result["steps"]:
            self.stdout.write(f"{'ok' if step['good'] else 'WRONG':6} {step['name']}")
            if step["said"]:
                self.stdout.write(f"           {step['said']}")

    def _tell_faults(self, result: dict[str, Any]) -> None:
        made = ", ".join(f"{call} {count}" for call, count in result["calls"].items())
        self.stdout.write(f"one reception, calls of its busiest thread: {made}")
        self.stdout.write("tried: " + ", ".join(f"{kind} {count}" for kind, count in result["tried"].items()))
        self.stdout.write("ended: " + ", ".join(f"{how} {count}" for how, count in result["ended"].items()))
        self.stdout.write(
            f"the slowest took {result['slowest']:.1f} s; {result['left_over']} leftovers without a row, removed; "
            f"{len(result['wrong'])} promises broken"
        )
        for words in result["wrong"]:
            self.stdout.write(f"WRONG  {words}")

    @staticmethod
    def _count(result: dict[str, Any], place: str, size: int, hits: list[Hit], *, covered: bool) -> None:
        result["places"].append({"place": place, "bytes": size, "found": len({hit.canary for hit in hits})})
        key = "found" if covered else "not_covered"
        result[key] += [{"canary": hit.canary, "writing": hit.writing, "where": hit.where} for hit in hits]

    def _tell_erasure(self, result: dict[str, Any]) -> None:
        before = {row["place"]: row["found"] for row in result["before"]}
        self.stdout.write(f"{result['canaries']} canaries planted; each is looked for in up to 12 writings\n")
        self.stdout.write(f"{'place':42} {'bytes':>12} {'before':>7} {'after':>6}")
        for row in result["places"]:
            was = before.get(row["place"], "")
            self.stdout.write(f"{row['place']:42} {row['bytes']:>12,} {was!s:>7} {row['found']:>6}")
        for hit in result["found"]:
            self.stdout.write(f"FOUND  {hit['canary']} as {hit['writing']} in {hit['where']}")
        for words in result["wrong"]:
            self.stdout.write(f"WRONG  {words}")
        if result["not_covered"]:
            names = sorted({hit["canary"] for hit in result["not_covered"]})
            self.stdout.write(
                f"Not covered: the write-ahead log still holds {len(names)} canaries until PostgreSQL reuses its "
                "files; so do backups, and the disk's free blocks. See docs/howto/erase-an-item.md."
            )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
