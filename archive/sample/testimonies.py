"""Three invented witnesses: what they tell in Arabic, who they are in the vault, what they agreed to."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from archive.sample import incidents
from archive.sample.incidents import located
from archive.sample.people import Team
from evidence.models import Item
from witnesses.actions import correct_testimony, open_witness, record_testimony, seal_testimony
from witnesses.agreements import record_consent, withdraw_consent
from witnesses.identity import RealIdentity
from witnesses.models import Consent, Witness
from witnesses.vocabulary import FORM_VERSION

FICTION_AR = "هذه شهادة خيالية من أرشيف العيّنة، لم يدلِ بها أحد.\n\n"
ENDS_IN = timedelta(days=20)
WITHDRAWN = "The witness called and asked us to stop using the interview."
OPENED_FOR_COURT: dict[str, Any] = {
    "purposes": ["documentation", "domestic_prosecution", "international_court", "un_mechanism"],
    "recipients": ["own_team", "lawyers", "foreign_authority", "international_court", "un_mechanism"],
    "identity_level": "pseudonym",
    "recording_media": ["written", "audio"],
    "recontact": True,
}


@dataclass(frozen=True, repr=False)
class Voice:
    """One witness with the one interview; `identity` is invented and goes to the vault alone."""

    kind: str
    age_band: str
    vulnerabilities: tuple[str, ...]
    identity: RealIdentity
    interviewed: str
    interpreter: str
    place: dict[str, Any]
    recordings: tuple[str, ...]
    agreed: dict[str, Any]
    text: str


VOICES = (
    Voice(
        "eyewitness",
        "adult",
        ("displaced",),
        RealIdentity(
            name="Invented Alphason",
            name_ar="مبتكر الألفي",
            aliases="Abu Mithal\nأبو مثال",
            birth_date="1981",
            contacts="sample-1@example.invalid",
            notes="Fictional person of the sample archive.",
        ),
        "2025-03-18",
        "",
        located(incidents.QADMUS, "district"),
        ("interview-1",),
        {**OPENED_FOR_COURT, "purposes": [*OPENED_FOR_COURT["purposes"], "missing_persons", "research"]},
        "كنت في الجهة المقابلة من الوادي عند الساعة الثالثة تقريباً حين رأيت الدخان.\n"
        "كان البيت خالياً، فقد غادر أهله في اليوم السابق.\n"
        "رأيت شخصين يقفان في الزقاق ولا أستطيع أن أصف وجهيهما، فقد كانت المسافة بعيدة.\n"
        "في المساء نزلت مع جاري ورأينا أن السقف قد سقط من جهة الشرق.\n"
        "لا أعرف من أشعل النار، وأقول فقط ما رأيته بعيني.",
    ),
    Voice(
        "survivor",
        "young",
        ("trauma", "threatened"),
        RealIdentity(
            name="Fabricated Betason",
            name_ar="مختلق البيتاوي",
            birth_date="2001~",
            contacts="sample-2@example.invalid",
            notes="Fictional person of the sample archive.",
        ),
        "2025-03-20",
        "Interpreter 4 (pseudonym)",
        located(incidents.JABLEH, "district"),
        ("interview-2",),
        {**OPENED_FOR_COURT, "purposes": ["documentation", "domestic_prosecution", "un_mechanism"], "ends": True},
        "أوقفونا عند كتل الإسمنت على الطريق الساحلي يوم الجمعة قبل الظهر.\n"
        "طلبوا البطاقات الشخصية، وسمحوا لي بالمرور بعد نحو ربع ساعة.\n"
        "أنزلوا ثلاثة من الحافلة وأخذوهم في سيارة رمادية. لم أسمع أسماءهم.\n"
        "لا أعرف إلى أين أُخذوا، ولم أرهم بعد ذلك.\n"
        "أخاف على أهلي، ولذلك لا أريد أن يظهر اسمي.",
    ),
    Voice(
        "family",
        "elder",
        ("displaced", "health"),
        RealIdentity(
            name="Imaginary Gammadottir",
            name_ar="متخيلة الجيماوية",
            birth_date="1957",
            contacts="sample-3@example.invalid",
            notes="Fictional person of the sample archive.",
        ),
        "2025-03-21",
        "",
        located(incidents.SAFITA, "district"),
        ("interview-3",),
        OPENED_FOR_COURT,
        "خرجنا ليلاً لأن الجيران خرجوا. أخذنا الأغطية والدواء وتركنا الباب مقفلاً.\n"
        "لم يهددنا أحد وجهاً لوجه، لكننا سمعنا أن الطريق سيُقطع في الصباح.\n"
        "قضينا أربعة أيام عند أقارب ثم عدنا، وكان البيت كما تركناه.",
    ),
)
CORRECTED = (
    "في المساء نزلت مع جاري ورأينا أن السقف قد سقط من جهة الشرق.",
    ("في صباح اليوم التالي، لا في المساء، نزلت مع جاري ورأينا أن السقف قد سقط من جهة الشرق."),
)


def take_testimonies(team: Team, items: dict[str, Item]) -> tuple[list[Witness], list[Consent]]:
    """Open the witnesses, write down their interviews, record their consents; the first testimony is sealed."""
    witnesses, consents = [], []
    for number, voice in enumerate(VOICES):
        witness = open_witness(
            by=team["protection"],
            at=timezone.now(),
            compartment_id=team.compartment.pk,
            kind=voice.kind,
            age_band=voice.age_band,
            vulnerabilities=list(voice.vulnerabilities),
            identity=voice.identity,
        )
        testimony = record_testimony(
            by=team["investigator"],
            at=timezone.now(),
            witness_id=witness.pk,
            text=FICTION_AR + voice.text,
            particulars={
                "interview_edtf": voice.interviewed,
                "language": "apc",
                "interpreter": voice.interpreter,
                **voice.place,
            },
            recordings=[items[key].accession for key in voice.recordings],
        )
        witnesses.append(witness)
        consents.append(_agree(team, witness, voice, items["consent-form"].accession if number == 0 else ""))
        if number == 0:
            seal_testimony(by=team["investigator"], at=timezone.now(), testimony_id=testimony.pk)
            correct_testimony(
                by=team["investigator"],
                at=timezone.now(),
                testimony_id=testimony.pk,
                text=FICTION_AR + voice.text.replace(*CORRECTED),
                reason="W-0001 read it again and put the time of day right.",
            )
    return witnesses, consents


def withdraw_the_third(team: Team, consents: list[Consent]) -> None:
    """The third witness takes consent back, after the recording was already tendered somewhere."""
    withdraw_consent(by=team["protection"], at=timezone.now(), consent_id=consents[2].pk, reason=WITHDRAWN)


def _agree(team: Team, witness: Witness, voice: Voice, form: str) -> Consent:
    agreed = {name: value for name, value in voice.agreed.items() if name != "ends"}
    return record_consent(
        by=team["protection"],
        at=timezone.now(),
        witness_id=witness.pk,
        agreed={
            **agreed,
            "language": "ar",
            "explained_by": "Protection officer (sample)",
            "form_version": FORM_VERSION,
            "given_edtf": voice.interviewed,
            "expires_at": timezone.now() + ENDS_IN if voice.agreed.get("ends") else None,
        },
        form_accession=form,
    )
