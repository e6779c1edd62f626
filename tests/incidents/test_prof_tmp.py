import cProfile, pstats, pytest, os
from uuid import uuid4
from tests import factories
from tests.incidents.test_uploads import Sender
@pytest.mark.django_db
def test_p():
    s=Sender(factories.make_incident()); i=s.intake()
    s.put(b"warm",intake=i)
    p=cProfile.Profile(); p.enable()
    for n in range(40): s.put(str(n).encode(),intake=i,headers={"Idempotency-Key":uuid4()})
    p.disable(); pstats.Stats(p).sort_stats("tottime").print_stats(12); pstats.Stats(p).sort_stats("cumtime").print_stats(45)
