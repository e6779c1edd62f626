"""The rest of what arrives: interviews, a film, papers, captures from the web, and things nobody described."""

from archive.sample import film, incidents, papers, sound
from archive.sample.incidents import located
from archive.sample.photographs import PHOTOGRAPHS
from archive.sample.pieces import CHANNEL, COLLECTOR, MESSAGE, OWN, SCAN, Piece, got, made

OTHERS = (
    Piece(
        "interview-1",
        "REC_0007.WAV",
        lambda: sound.hum(9, 7),
        {"kind": "audio", "title": "Recording of an interview, first part", "language": "apc",
         "description": "In the sample a hum in the rhythm of speech: nobody speaks."}
        | made("2025-03-18", "analyst") | got("2025-03-18", OWN),
        (("qadmus", "supports", "First-hand, with a time of day that the photographs bear out.", "B", 2),),
    ),
    Piece(
        "interview-2",
        "REC_0011.WAV",
        lambda: sound.hum(7, 11),
        {"kind": "audio", "title": "Recording of an interview at the road", "language": "apc",
         "description": "In the sample a hum in the rhythm of speech: nobody speaks."}
        | made("2025-03-20", "analyst") | got("2025-03-20", OWN),
        (("jableh", "supports", "First-hand; the description of the place was checked on site.", "B", 2),),
    ),
    Piece(
        "interview-3",
        "REC_0013.WAV",
        lambda: sound.hum(6, 13),
        {"kind": "audio", "title": "Recording of an interview about the departures", "language": "apc",
         "description": "In the sample a hum in the rhythm of speech: nobody speaks."}
        | made("2025-03-21", "analyst") | got("2025-03-21", OWN),
        (("safita", "supports", "First-hand on one night; hearsay on the others.", "C", 3),),
    ),
    Piece(
        "wind",
        "AUD-20250310-WA0001.wav",
        lambda: sound.wind(6, 3),
        {"kind": "audio", "title": "Sound from the mountain road", "description": "Wind, and nothing else to name."}
        | made("2025-03-10", "source") | got("2025-03-15", MESSAGE) | located(incidents.SLINFAH, "locality"),
        (("slinfah", "supports", "Said to be shots: the recording alone cannot tell.", "D", 4),),
        by="investigator2",
    ),
    Piece(
        "walk",
        "VID_20250315_104500.webm",
        lambda: film.walk("terraced-village", 6),
        {"kind": "video", "title": "Slow pan over a village, without sound"}
        | made("2025-03-15", "device") | got("2025-03-15", OWN) | located(incidents.QARDAHA, "locality"),
        (("qardaha", "context", "Shows the village as it stood in the middle of March.", "A", 2),),
    ),
    Piece(
        "inspection",
        "SAMPLE-INS-07 قدموس.pdf",
        papers.inspection_report,
        {"kind": "document", "title": "Site inspection record, two pages", "language": "ar"}
        | made("2025-03-15", "analyst") | got("2025-03-19", SCAN)
        | located(incidents.QADMUS, "exact", ("0.0122", "-0.0085")),
        (("qadmus", "supports", "Our inspection; both signatures were given before us.", "A", 1),),
    ),
    Piece(
        "consent-form",
        "consent-form-1.pdf",
        papers.consent_form,
        {"kind": "document", "title": "Signed consent form", "language": "ar"}
        | made("2025-03-18", "analyst") | got("2025-03-18", SCAN),
    ),
    Piece(
        "sketch-map",
        "خريطة.png",
        papers.sketch_map,
        {"kind": "photo", "title": "Map drawn by hand on squared paper", "language": "ar"}
        | made("2025-03-17", "source") | got("2025-03-18", {**COLLECTOR, "acquired_how": "handed_over"})
        | located(incidents.DREIKISH, "locality"),
        (
            ("dreikish", "context", "Marks the school and the road block above it.", "C", 3),
            ("sheikh-badr", "context", "The grove is marked where it was photographed.", "C", 2),
        ),
    ),
    Piece(
        "notes",
        "ملاحظات.txt",
        papers.field_notes,
        {"kind": "text", "title": "Field notes from villages around Safita", "language": "ar"}
        | made("2025-03-14", "source") | got("2025-03-16", COLLECTOR) | located(incidents.SAFITA, "district"),
        (("safita", "supports", "Written the same day; no names were taken.", "B", 3),),
    ),
    Piece(
        "damage",
        "damage-list.csv",
        papers.damage_table,
        {"kind": "text", "title": "List of damaged buildings"} | made("2025-03-16", "analyst") | got("2025-03-16", OWN)
        | located(incidents.QADMUS, "locality"),
        (("qadmus", "context", "Five buildings; the first is the burned house.", "A", 2),),
    ),
    Piece(
        "page",
        "coast-notes-4471.html",
        papers.captured_page,
        {"kind": "web_capture", "title": "Post in a public channel, as captured", "language": "ar",
         "description": "The page holds scripts, a tracker and a form. It is kept as it was and never runs here."}
        | {"published_edtf": "2025-03-08", "published_basis": "platform"}
        | got("2025-03-13", {**CHANNEL, "acquired_how": "web_capture"})
        | located(incidents.QADMUS, "district"),
        (("masyaf", "supports", "Says on the day itself that the road is closed.", "D", 3),),
        by="archivist",
    ),
    Piece(
        "drawing",
        "sketch.svg",
        papers.drawing,
        {"kind": "document", "title": "Sketch of two places, vector drawing"} | made("2025-03", "source")
        | got("2025-03-16", COLLECTOR),
        (("qadmus", "context", "Where the photographer stood (A) and the house (B).", "C", 3),),
        by="archivist",
    ),
    Piece("two-faced", "scan0001.bmp", papers.two_faced, by="archivist"),
    Piece("undescribed-sound", "REC_0015.WAV", lambda: sound.hum(5, 15)),
)  # fmt: skip

#: Everything, in the order of its accession numbers.
PIECES = (*PHOTOGRAPHS, *OTHERS)
