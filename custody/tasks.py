"""What the archive asks of partners outside, by the worker: the processes that sequence and sign need no network.

A worker that is killed loses nothing: the queue of anchors and the cosigners' sizes stand in the database, and the next
minute goes on from there.
"""

import logging

from django.db import close_old_connections
from django.utils import timezone
from procrastinate.contrib.django import app

from custody.anchors import anchor_heads
from custody.cosigners import ask_cosigners
from custody.timestamps import AuthoritiesProblem
from ledger.policy import PolicyError

log = logging.getLogger(__name__)


@app.periodic(cron="* * * * *")
@app.task(name="custody.tasks.ask_outside", queueing_lock="custody.ask_outside", pass_context=False)
def ask_outside(timestamp: int) -> None:
    """Every minute: cosigners and authorities whose turn it is. Nothing without a policy or authorities file."""
    close_old_connections()
    try:
        ask_cosigners(timezone.now())
    except PolicyError as problem:
        log.error("no cosigner is asked: %s", problem)
    try:
        anchor_heads(timezone.now())
    except AuthoritiesProblem as problem:
        log.error("nothing is timestamped: %s", problem)
    finally:
        close_old_connections()
