"""Scanned papers as PDF, and what came from the web: a captured page, a drawing, a table, notes."""

import io
import time

from PIL import Image, ImageDraw

from archive.sample.canvas import mixed
from archive.sample.lettering import arabic, joined, latin
from archive.sample.views import painted

PAGE = (1240, 1754)  # A4 at 150 dpi
SCANNED = time.struct_time((2025, 3, 19, 9, 0, 0, 2, 78, 0))
INK, STAMP = (38, 40, 58), (120, 60, 70)


def inspection_report() -> bytes:
    """Two pages of a site inspection, in both languages, with a photograph glued in."""
    first, second = _page(), _page()
    draw = ImageDraw.Draw(first)
    _heading(draw, "SITE INSPECTION RECORD", "محضر معاينة موقع", "FICTIONAL - SAMPLE ARCHIVE")
    rows = [
        ("Record", "SAMPLE-INS-07"),
        ("Place", "Village in the district of Qadmus"),
        ("Inspected", "2025-03-15, 10:20 to 12:05"),
        ("Inspected by", "Field collector 2 (pseudonym)"),
        ("Present", "One resident, under pseudonym"),
    ]
    for number, (name, value) in enumerate(rows):
        y = 420 + number * 62
        draw.text((110, y), name, fill=(90, 92, 100), font=latin(26))
        draw.text((380, y), value, fill=INK, font=latin(28))
        draw.line((110, y + 46, 1130, y + 46), fill=(210, 208, 200), width=2)
    lines = [
        "هذا محضر خيالي أعد لأرشيف العينة",
        "عاين الفريق منزلا من طابقين احترق من الداخل",
        "لوحظت آثار سخام فوق النوافذ في الطابقين",
        "لم يعثر في الموقع على أشخاص",
    ]
    for number, line in enumerate(lines):
        draw.text((1130, 780 + number * 66), joined(line), fill=INK, font=arabic(34), anchor="ra")
    for number, line in enumerate(
        [
            "1. Two storeys, stone. Soot above every opening, roof fallen in on the east side.",
            "2. Door of the ground floor forced inwards; splinters lie inside.",
            "3. No person was found. No object was removed.",
            "4. Eleven photographs taken, scale in view where walls are shown.",
        ]
    ):
        draw.text((110, 1090 + number * 52), line, fill=INK, font=latin(26))
    _signature(draw, 1420)
    draw = ImageDraw.Draw(second)
    second.paste(painted("burned-house-next-day").resize((1020, 765)), (110, 160))
    draw.text((110, 950), "Photograph 3, from the south. Sample, painted by software.", fill=INK, font=latin(26))
    draw.rectangle((110, 1040, 1130, 1560), outline=INK, width=3)
    draw.text((130, 1060), "Sketch, not to scale", fill=(90, 92, 100), font=latin(24))
    draw.rectangle((380, 1220, 760, 1440), outline=INK, width=5)
    draw.line((160, 1500, 1090, 1180), fill=(150, 140, 120), width=18)
    draw.text((480, 1310), "house", fill=INK, font=latin(30))
    draw.text((860, 1170), "road", fill=INK, font=latin(26))
    return _pdf([first, second], "Site inspection record (fictional)")


def consent_form() -> bytes:
    """A signed consent form under a pseudonym: no name stands on it."""
    page = _page()
    draw = ImageDraw.Draw(page)
    _heading(draw, "CONSENT OF A WITNESS", "موافقة شاهد", "FICTIONAL - SAMPLE ARCHIVE")
    draw.text((110, 420), "Witness W-0001 (pseudonym). Explained in Arabic, read aloud.", fill=INK, font=latin(28))
    lines = ["فهمت الغرض من هذه المقابلة", "أوافق على حفظ أقوالي وتسجيلها", "يمكنني سحب موافقتي في أي وقت"]
    for number, line in enumerate(lines):
        draw.text((1130, 520 + number * 72), joined(line), fill=INK, font=arabic(36), anchor="ra")
    agreed = ["documentation", "prosecution before a national court", "United Nations mechanism", "under a pseudonym"]
    for number, line in enumerate([*agreed, "by name: no"]):
        y = 800 + number * 60
        draw.rectangle((110, y, 144, y + 34), outline=INK, width=3)
        if "no" not in line.split():
            draw.line((114, y + 16, 126, y + 30, 148, y - 6), fill=(40, 60, 140), width=5)
        draw.text((170, y), line, fill=INK, font=latin(28))
    _signature(draw, 1360)
    return _pdf([page], "Consent form (fictional)")


def sketch_map() -> bytes:
    """A hand-drawn map on squared paper, as PNG."""
    page = Image.new("RGB", (1400, 1000), (246, 242, 230))
    draw = ImageDraw.Draw(page)
    for step in range(0, 1400, 40):
        draw.line((step, 0, step, 1000), fill=(222, 226, 230))
        draw.line((0, step, 1400, step), fill=(222, 226, 230))
    draw.line([(60, 900), (420, 700), (760, 660), (1340, 300)], fill=(150, 120, 90), width=14, joint="curve")
    draw.line([(420, 700), (520, 240)], fill=(150, 120, 90), width=9)
    for x, y, word in ((380, 200, "حاجز"), (780, 690, "مدرسة"), (1040, 330, "ساحة"), (200, 640, "بستان")):
        draw.rectangle((x, y, x + 70, y + 52), outline=(60, 60, 80), width=4)
        draw.text((x + 180, y + 4), joined(word), fill=(60, 60, 80), font=arabic(38), anchor="ra")
    draw.text((60, 40), "N", fill=(160, 50, 40), font=latin(44))
    draw.line((76, 100, 76, 190), fill=(160, 50, 40), width=6)
    out = io.BytesIO()
    page.save(out, "PNG")
    return out.getvalue()


def field_notes() -> bytes:
    """Notes of a field collector, in Arabic."""
    return (
        "ملاحظات ميدانية – سجل خيالي من أرشيف العيّنة\n"
        "التاريخ: 2025-03-14\n"
        "المكان: ريف صافيتا\n\n"
        "وصلنا إلى القرية صباحاً. المتاجر مغلقة والشارع الرئيسي خالٍ.\n"
        "تحدثنا مع شخصين رفضا ذكر اسميهما، ولم نسجل أي اسم.\n"
        "قيل لنا إن عائلات غادرت ليلاً نحو الجنوب في شاحنات صغيرة.\n"
        "التقطنا أربع صور. الساعة في الهاتف متأخرة ساعة واحدة عن الوقت المحلي.\n"
    ).encode()


def damage_table() -> bytes:
    """A list of damaged buildings as CSV: no names, no house numbers."""
    rows = ["number,storeys,use,damage,seen_on", "1,2,house,burned inside,2025-03-15"]
    rows += ["2,1,house,door forced,2025-03-15", "3,1,shop,emptied,2025-03-15"]
    rows += ["4,2,house,windows broken,2025-03-15", "5,1,clinic,entrance damaged,2025-03-16"]
    return ("\r\n".join(rows) + "\r\n").encode()


def captured_page() -> bytes:
    """A page captured from the web, with everything in it that a hostile page has; none of it may ever run."""
    return """<!doctype html>
<html lang="ar" dir="rtl">
<head><meta charset="utf-8"><title>منشور عام (خيالي)</title>
<meta http-equiv="refresh" content="0; url=https://capture.invalid/elsewhere">
<script>document.title = "this script ran"; document.documentElement.dataset.ran = "yes";</script>
<link rel="stylesheet" href="https://capture.invalid/tracker.css"></head>
<body onload="document.body.dataset.ran='yes'">
<h1>منشور عام في قناة خيالية</h1>
<p>سجل خيالي من أرشيف العيّنة: «الطريق بين القدموس ومصياف مقطوع منذ الصباح».</p>
<img src="https://capture.invalid/pixel.gif" onerror="document.body.dataset.ran='yes'" alt="">
<form action="https://capture.invalid/collect"><input name="password" type="password"></form>
<iframe src="https://capture.invalid/frame"></iframe>
<a href="javascript:document.body.dataset.ran='yes'">المزيد</a>
</body>
</html>
""".encode()


def drawing() -> bytes:
    """A vector drawing that carries a script, as drawings from the web do."""
    return b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 240" onload="document.documentElement.id='ran'">
<script>document.documentElement.setAttribute("data-ran", "yes")</script>
<rect width="400" height="240" fill="#f4efe2"/>
<path d="M20 200 L150 120 L260 140 L380 40" fill="none" stroke="#a08060" stroke-width="8"/>
<circle cx="150" cy="120" r="14" fill="#b04030"/><text x="172" y="116" font-size="18">A</text>
<circle cx="260" cy="140" r="14" fill="#305080"/><text x="282" y="160" font-size="18">B</text>
<text x="20" y="28" font-size="16">Fictional sketch of the sample archive</text>
</svg>
"""


def two_faced() -> bytes:
    """A file whose first bytes claim a picture and whose words are a page: its two identifiers disagree."""
    return b"BM<html><!-- sample: begins as a bitmap, goes on as a page --><p>fictional</p></html>"


def _page() -> Image.Image:
    page = Image.new("RGB", PAGE, (250, 247, 238))
    draw = ImageDraw.Draw(page)
    for inset in range(24):  # the shadow a scanner leaves at the edges
        shade = mixed((216, 212, 200), (250, 247, 238), inset / 24)
        draw.rectangle((inset, inset, PAGE[0] - 1 - inset, PAGE[1] - 1 - inset), outline=shade)
    return page


def _heading(draw: ImageDraw.ImageDraw, title: str, title_ar: str, note: str) -> None:
    draw.text((110, 130), title, fill=INK, font=latin(44))
    draw.text((1130, 200), joined(title_ar), fill=INK, font=arabic(50), anchor="ra")
    draw.text((110, 210), note, fill=STAMP, font=latin(26))
    draw.line((110, 330, 1130, 330), fill=INK, width=4)


def _signature(draw: ImageDraw.ImageDraw, y: int) -> None:
    draw.line((110, y + 90, 520, y + 90), fill=(160, 158, 150), width=2)
    points = [(140 + step * 11, y + 50 + (step * 37 % 53) - 26) for step in range(28)]
    draw.line(points, fill=(40, 56, 132), width=4, joint="curve")
    draw.text((110, y + 104), "signed under pseudonym", fill=(90, 92, 100), font=latin(22))
    draw.ellipse((900, y - 20, 1090, y + 170), outline=STAMP, width=6)
    draw.text((995, y + 75), "SAMPLE", fill=STAMP, font=latin(34), anchor="mm")


def _pdf(pages: list[Image.Image], title: str) -> bytes:
    out = io.BytesIO()
    first, *rest = pages
    first.save(
        out,
        "PDF",
        save_all=True,
        append_images=rest,
        resolution=150.0,
        title=title,
        producer="Sample scanner",
        creationDate=SCANNED,
        modDate=SCANNED,
    )
    return out.getvalue()
