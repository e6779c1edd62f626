"""The sample's photographs as they arrive. One came twice, one carries an impossible date, some wait for words."""

from archive.sample import incidents
from archive.sample.incidents import located
from archive.sample.pieces import CHANNEL, COLLECTOR, MESSAGE, OWN, Piece, got, made, photo, shot, taken

BURNED_CAR = shot("burned-car", taken("2025-03-07", "15:08:31", (35.0739, 36.3203)))

PHOTOGRAPHS = (
    Piece(
        "house-dusk",
        "IMG_20250308_174210.jpg",
        shot("burned-house", taken("2025-03-08", "17:42:10", (35.1107, 36.1515))),
        photo("Burned house at dusk, seen from the lane", description="Roof fallen in; soot above every opening.")
        | made("2025-03-08T17:42:10+03:00") | got("2025-03-12", COLLECTOR)
        | located(incidents.QADMUS, "vicinity", ("0.0121", "-0.0084")),
        (("qadmus", "supports", "Time, place and damage agree with the inspection six days later.", "B", 2),),
    ),
    Piece(
        "house-morning",
        "DSC_0031.JPG",
        shot("burned-house-next-day", taken("2025-03-15", "10:41:02", (35.1108, 36.1513), model="Field Camera 2")),
        photo("The same house by daylight, from the south") | made("2025-03-15T10:41:02+03:00")
        | got("2025-03-15", OWN) | located(incidents.QADMUS, "exact", ("0.0122", "-0.0085")),
        (("qadmus", "supports", "Our own photograph of the damage, with scale on the next frame.", "A", 1),),
    ),
    Piece(
        "marked-wall",
        "DSC_0034.JPG",
        shot("marked-wall", taken("2025-03-15", "11:02:47", (35.1109, 36.1516), model="Field Camera 2")),
        photo("Marks in the east wall of the house, with scale") | made("2025-03-15T11:02:47+03:00")
        | got("2025-03-15", OWN) | located(incidents.QADMUS, "exact", ("0.0122", "-0.0084")),
        (("qadmus", "context", "The marks may be older than the fire: lichen grows in two of them.", "A", 3),),
    ),
    Piece(
        "smoke",
        "photo_2025-03-08_15-10-22.jpg",
        shot("smoke-over-hills"),
        photo("Two columns of smoke behind hills", language="ar") | made("2025-03-08", "platform")
        | {"published_edtf": "2025-03-08T15:10", "published_basis": "platform"} | got("2025-03-13", CHANNEL)
        | located(incidents.QADMUS, "district"),
        (("qadmus", "context", "Direction fits, distance cannot be measured: not more than context.", "D", 3),),
        by="archivist",
    ),
    Piece(
        "market",
        "20250309_083011.jpg",
        shot("closed-market", taken("2025-03-09", "08:30:11", (35.1851, 35.9515))),
        photo("Closed shops in a street of Baniyas") | made("2025-03-09T08:30:11+03:00") | got("2025-03-14", MESSAGE)
        | located(incidents.BANIYAS, "vicinity", ("0.0032", "0.0027")),
        (("baniyas", "contradicts", "Three of the shutters said to be forced are closed and whole here.", "C", 2),),
        by="investigator2",
    ),
    Piece(
        "forced-door",
        "20250309_090455.jpg",
        shot("forced-door", taken("2025-03-09", "09:04:55")),
        photo("Forced door of a shop, from inside") | made("2025-03-09T09:04:55+03:00") | got("2025-03-14", MESSAGE)
        | located(incidents.BANIYAS, "locality"),
        (("baniyas", "supports", "Splinters lie inwards; the lock's plate is torn off.", "C", 2),),
        by="investigator2",
    ),
    Piece(
        "road-block",
        "صورة 14.jpg",
        shot("road-block", taken("2025-03-07", "11:20:00", (35.3406, 35.9384))),
        photo("Concrete blocks and a barrier on the coast road") | made("2025-03-07T11:20:00+03:00")
        | got("2025-03-13", COLLECTOR) | located(incidents.JABLEH, "vicinity", ("-0.0215", "0.0108")),
        (("jableh", "supports", "The place W-0002 describes, on the day W-0002 names.", "B", 2),),
    ),
    Piece(
        "coast-road",
        "IMG_0006.JPG",
        shot("coast-road", taken("2025-03-20", "06:31:40", (35.3402, 35.9386), model="Field Camera 2")),
        photo("The same bend of the coast road, two weeks later") | made("2025-03-20T06:31:40+03:00")
        | got("2025-03-20", OWN) | located(incidents.JABLEH, "exact", ("-0.0216", "0.0109")),
        (("jableh", "context", "Taken for comparison: the blocks are gone.", "A", 1),),
    ),
    Piece(
        "clinic",
        "IMG-20250309-WA0004.jpg",
        shot("clinic-door"),
        photo(
            "Broken glass in the doors of a clinic",
            description="Sent on by a messenger: the device's claims are gone.",
        )
        | made("2025-03-09", "source") | got("2025-03-12", MESSAGE)
        | located(incidents.HAFFAH, "exact", ("0.0009", "-0.0006")),
        (("haffah", "supports", "Doors and sign match the clinic; no holes as a shot would leave are seen.", "C", 2),),
    ),
    Piece(
        "truck",
        "IMG_20250310_181500.jpg",
        shot("loaded-truck", taken("2025-03-10", "18:15:00", (35.4621, 36.0702))),
        photo("Loaded truck on a village road at dusk") | made("2025-03-10T18:15:00+03:00")
        | got("2025-03-16", COLLECTOR)
        | located(incidents.QARDAHA, "locality"),
        (
            ("qardaha", "supports", "Household goods on the truck; date and place agree with the source.", "B", 3),
            ("safita", "context", "The same truck is said to have come through two days later.", "D", 4),
        ),
    ),
    Piece(
        "village",
        "IMG_20190814_094412.jpg",
        shot("terraced-village", taken("2019-08-14", "09:44:12", (35.4633, 36.0661))),
        photo(
            "Terraced village above Qardaha",
            description="The source says March 2025; the device claims August 2019, and the leaves agree with August.",
        )
        | {"created_edtf": "2019-08-14/2025-03-10", "created_basis": "analyst"} | got("2025-03-16", COLLECTOR)
        | located(incidents.QARDAHA, "locality", ("0.0068", "0.0070")),
        (("qardaha", "contradicts", "It cannot show March 2025: device and season both say summer.", "D", 5),),
    ),
    Piece(
        "school",
        "20250310_071204.jpg",
        shot("school-yard", taken("2025-03-10", "07:12:04", (34.8965, 36.1441))),
        photo("School yard in the morning") | made("2025-03-10T07:12:04+03:00") | got("2025-03-17", COLLECTOR)
        | located(incidents.DREIKISH, "exact", ("0.0014", "0.0011")),
        (("dreikish", "supports", "Mattresses behind two windows of the upper floor.", "B", 2),),
    ),
    Piece(
        "grove",
        "DSC_0052.JPG",
        shot("olive-field", taken("2025-03-16", "12:20:33", (34.9823, 36.0952), model="Field Camera 2")),
        photo("Olive grove with a place of fresh earth") | made("2025-03-16T12:20:33+03:00") | got("2025-03-16", OWN)
        | located(incidents.SHEIKH_BADR, "vicinity", ("-0.0094", "0.0117")),
        (("sheikh-badr", "supports", "About five metres by two; nothing was touched.", "A", 2),),
    ),
    Piece(
        "aerial",
        "DJI_0118.JPG",
        shot("from-above", taken("2025-03-18", "10:02:18", (34.9829, 36.0948), model="Field Drone 1", iso=100)),
        photo("The grove and six houses from above") | made("2025-03-18T10:02:18+03:00") | got("2025-03-18", OWN)
        | located(incidents.SHEIKH_BADR, "vicinity", ("-0.0088", "0.0113")),
        (("sheikh-badr", "context", "Shows paths to the grove; two roofs are dark, perhaps burned.", "A", 3),),
    ),
    Piece(
        "graphic",
        "IMG_20250309_120001.jpg",
        shot("abstract-red", taken("2025-03-09", "12:00:01")),
        photo(
            "Graphic photograph (in the sample: red shapes without content)",
            graphic=True,
            description="It shows nothing. It stands here so that the veil over graphic content can be seen at work.",
        )
        | made("2025-03-09T12:00:01+03:00") | got("2025-03-16", MESSAGE),
        (("sheikh-badr", "context", "Received with the grove's photograph; unrelated as far as known.", "F", 6),),
        by="investigator2",
    ),
    Piece(
        "car",
        "IMG_20250307_150831.jpg",
        BURNED_CAR,
        photo("Burned-out car on a road") | made("2025-03-07T15:08:31+03:00") | got("2025-03-12", COLLECTOR)
        | located(incidents.MASYAF, "vicinity", ("0.0087", "-0.0203")),
        (("masyaf", "supports", "Position claimed by the device lies on the road named by the source.", "B", 2),),
    ),
    Piece(
        "car-again",
        "masyaf road (1).jpg",
        BURNED_CAR,
        photo("Burned-out car on a road, from a second source") | made("2025-03-07", "source")
        | got("2025-03-15", MESSAGE),
        (("masyaf", "context", "The same bytes from another source: one photograph, not two.", "C", 6),),
        by="investigator2",
    ),
    Piece(
        "castle",
        "IMG_0009.JPG",
        shot("castle-rock", taken("2025-03-19", "17:58:20", (35.0664, 36.3429), model="Field Camera 2")),
        photo("View towards the castle, for orientation") | made("2025-03-19T17:58:20+03:00") | got("2025-03-19", OWN)
        | located(incidents.MASYAF, "locality"),
        (("masyaf", "context", "Fixes the direction in which the road runs.", "A", 1),),
    ),
    Piece(
        "harbour",
        "IMG_20250307_055512.jpg",
        shot("harbour", taken("2025-03-07", "05:55:12", (35.5193, 35.7729))),
        photo("Harbour at dawn, lights on the quay") | made("2025-03-07T05:55:12+03:00") | got("2025-03-14", COLLECTOR)
        | located(incidents.LATAKIA, "locality"),
        (("latakia", "contradicts", "Power was back before six in the morning.", "B", 2),),
    ),
    Piece(
        "dark-roofs",
        "IMG_20250306_223140.jpg",
        shot("roofs-at-night", taken("2025-03-06", "22:31:40", (35.5365, 35.8007), iso=3200)),
        photo("Roofs of a quarter by night, few windows lit") | made("2025-03-06T22:31:40+03:00")
        | got("2025-03-14", COLLECTOR) | located(incidents.LATAKIA, "vicinity", ("0.0052", "0.0098")),
        (("latakia", "supports", "Most windows are dark at half past ten.", "B", 2),),
    ),
    Piece(
        "workshop",
        "cam03_20250311_1204.jpg",
        shot("workshop", taken("2025-03-11", "12:04:00", model="Shop Camera")),
        photo(
            "Frame of a shop's camera: the workshop's open door",
            description="The clock of the camera was compared with ours: four seconds slow.",
        )
        | made("2025-03-11T12:04:00+03:00")
        | got("2025-03-17", {**OWN, "acquired_how": "device_copy"})
        | {"source_kind": "organisation", "source": "Shop opposite (pseudonym S-03)"}
        | located(incidents.TARTUS, "exact", ("0.0046", "0.0061")),
        (("tartus", "exculpatory", "Twelve frames without a weapon drawn or a shot fired, clock checked.", "B", 1),),
    ),
    Piece(
        "lamp",
        "IMG_20250310_213355.jpg",
        shot("lamp-at-night", taken("2025-03-10", "21:33:55")),
        by="investigator2",
    ),
    Piece("bus-stop", "IMG_20250311_080640.jpg", shot("bus-stop", taken("2025-03-11", "08:06:40", (34.8899, 35.8901)))),
    Piece(
        "river",
        "WhatsApp Image 2025-03-12 at 07.14.55.jpeg",
        shot("river-crossing"),
        links=(("hamidiyah", "context", "Sent with the words “we crossed here”; nothing else is known.", "E", 6),),
        by="investigator2",
    ),
    Piece(
        "mist",
        "IMG_0002.JPG",
        shot("mountain-mist", taken("2025-03-19", "07:20:12", (35.5921, 36.1735), model="Field Camera 2")),
        photo("Mountain road in mist") | made("2025-03-19T07:20:12+03:00") | got("2025-03-19", OWN)
        | located(incidents.SLINFAH, "locality"),
    ),
)  # fmt: skip
