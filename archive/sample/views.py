"""The sample's photographs, by name: what each one shows. All are painted, none shows a real place or person."""

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

from archive.sample.canvas import HEIGHT, WIDTH, Canvas

PLASTER, STONE, CREAM, OCHRE = (206, 196, 178), (176, 168, 154), (222, 210, 186), (196, 164, 120)


def coast_road(c: Canvas) -> None:
    c.sun(380, 470, 54)
    c.hills(590, 90, 0.75)
    c.sea(590)
    c.ground(760, (148, 138, 106))
    c.road(760, 980)
    for x in (1180, 1330, 1500):
        c.tree(x, 860 + (x - 1180) // 4, 260)


def terraced_village(c: Canvas) -> None:
    c.clouds(5)
    c.hills(560, 240, 0.75)
    c.hills(680, 210, 0.5)
    c.hills(800, 160, 0.25)
    for x, ground, wide, floors in ((240, 720, 150, 1), (430, 690, 190, 2), (690, 730, 170, 1), (930, 700, 210, 2)):
        c.block(x, ground, wide, floors, c.random.choice([PLASTER, STONE, CREAM]))
    for row in range(4):
        y = 840 + row * 90
        c.draw.line((0, y, WIDTH, y - 50), fill=c.lit((132, 122, 96)), width=10)
        for x in range(40 + row * 30, WIDTH, 170):
            c.tree(x, y + 6, 80 + row * 26, (112, 124, 88))


def closed_market(c: Canvas) -> None:
    c.clouds(4)
    c.block(-60, 940, 560, 4, CREAM)
    c.block(520, 940, 430, 3, PLASTER)
    c.block(980, 940, 700, 4, OCHRE)
    c.ground(940, (132, 128, 122))
    for number, x in enumerate(range(20, 1540, 260)):
        c.shutter(x, 800, 220, 944, [(104, 124, 136), (122, 108, 92), (92, 116, 100)][number % 3])
    c.draw.polygon([(1120, 1040), (1250, 1010), (1300, 1060), (1170, 1096)], fill=c.lit((210, 206, 196)))


def burned_house(c: Canvas) -> None:
    c.sun(1250, 520, 60, (255, 178, 110))
    c.hills(700, 170, 0.6, (86, 84, 74))
    c.ground(860, (96, 86, 72))
    c.block(420, 900, 700, 2, STONE, burned=True)
    c.draw.polygon([(420, 664), (560, 560), (700, 650), (820, 590), (1000, 664)], fill=c.lit((24, 22, 22)))
    for x in (180, 1330):
        c.cypress(x, 900, 380)


def burned_car(c: Canvas) -> None:
    c.clouds(6)
    c.hills(640, 150, 0.6)
    c.ground(760, (126, 118, 96))
    c.road(760, 700, 1100)
    c.draw.ellipse((500, 900, 1180, 1030), fill=c.lit((40, 38, 38)))
    c.car(560, 980, 560, (90, 60, 50), burned=True)


def smoke_over_hills(c: Canvas) -> None:
    c.hills(640, 200, 0.7)
    c.smoke(860, 640, 520)
    c.smoke(1020, 660, 400)
    c.hills(780, 170, 0.4)
    c.hills(960, 180, 0.1, (82, 100, 62))


def lamp_at_night(c: Canvas) -> None:
    c.stars(260)
    c.hills(620, 160, 0.5)
    c.block(80, 960, 430, 3, PLASTER)
    c.block(1020, 960, 500, 4, STONE)
    c.ground(960, (96, 94, 92))
    c.lamp(760, 980, 420)


def road_block(c: Canvas) -> None:
    c.clouds(8)
    c.hills(640, 140, 0.6)
    c.ground(740, (138, 128, 104))
    c.road(740, 820, 1000)
    for x in range(320, 1240, 220):
        shape = [(x, 960), (x + 26, 850), (x + 154, 850), (x + 180, 960)]
        c.draw.polygon(shape, fill=c.lit((188, 186, 180)))
    for part in range(8):
        left = 420 + part * 96
        c.draw.rectangle((left, 770, left + 96, 792), fill=c.lit((188, 58, 48) if part % 2 else (232, 230, 224)))


def clinic_door(c: Canvas) -> None:
    c.draw.rectangle((0, 0, WIDTH, 980), fill=c.lit((196, 202, 200)))
    c.ground(980, (150, 146, 140))
    c.draw.rectangle((560, 300, 1040, 980), fill=c.lit((84, 104, 112)))
    for x in (580, 810):
        c.draw.rectangle((x, 330, x + 210, 950), fill=c.lit((42, 52, 58)))
        for _ in range(9):
            cx, cy = x + c.random.randrange(40, 170), c.random.randrange(420, 820)
            points = [(cx + c.random.randrange(-60, 60), cy + c.random.randrange(-70, 70)) for _ in range(3)]
            c.draw.polygon(points, fill=c.lit((150, 176, 184)))
    c.draw.rectangle((690, 150, 910, 250), fill=c.lit((238, 240, 238)))
    c.draw.rectangle((784, 168, 816, 232), fill=c.lit((52, 140, 92)))
    c.draw.rectangle((768, 184, 832, 216), fill=c.lit((52, 140, 92)))


def school_yard(c: Canvas) -> None:
    c.clouds(5)
    c.block(100, 800, 1400, 2, CREAM)
    c.ground(800, (168, 158, 140))
    c.draw.line((260, 1120, 700, 860), fill=c.lit((214, 206, 186)), width=8)
    c.draw.line((1380, 1120, 960, 860), fill=c.lit((214, 206, 186)), width=8)
    c.draw.line((520, 560, 520, 900), fill=c.lit((120, 120, 124)), width=12)
    c.draw.rectangle((450, 560, 590, 640), outline=c.lit((120, 120, 124)), width=8)


def harbour(c: Canvas) -> None:
    c.sun(1160, 470, 50)
    c.hills(560, 120, 0.75)
    c.sea(600)
    for x in (240, 470):
        c.draw.line((x, 610, x, 250, x + 210, 300), fill=c.lit((70, 74, 86), 0.25), width=14, joint="curve")
        c.draw.line((x + 130, 284, x + 130, 460), fill=c.lit((70, 74, 86), 0.25), width=4)
    for x, y, long in ((700, 720, 180), (1010, 800, 260), (380, 900, 340)):
        hull = [(x, y), (x + long, y), (x + long * 0.84, y + long * 0.18), (x + long * 0.1, y + long * 0.18)]
        c.draw.polygon(hull, fill=c.lit(c.random.choice([(46, 84, 120), (150, 66, 52), (220, 216, 204)])))
        c.draw.line((x + long * 0.5, y, x + long * 0.5, y - long * 0.6), fill=c.lit((88, 78, 66)), width=6)


def from_above(c: Canvas) -> None:
    c.draw.rectangle((0, 0, WIDTH, HEIGHT), fill=c.lit((134, 132, 92)))
    for row in range(5):
        for column in range(6):
            x, y = column * 280 + c.random.randrange(-30, 30), row * 250 + c.random.randrange(-20, 20)
            shade = c.random.choice([(116, 132, 80), (152, 142, 100), (96, 118, 72), (170, 156, 118)])
            c.draw.polygon([(x, y), (x + 260, y + 24), (x + 246, y + 226), (x - 20, y + 206)], fill=c.lit(shade))
            for tree in range(24):
                cx, cy = x + 30 + tree % 6 * 36, y + 40 + tree // 6 * 42
                c.draw.ellipse((cx, cy, cx + 18, cy + 18), fill=c.lit((64, 84, 50)))
    c.draw.line([(0, 760), (520, 700), (980, 520), (WIDTH, 430)], fill=c.lit((190, 184, 170)), width=44, joint="curve")
    for x, y in ((560, 540), (700, 470), (840, 610), (1010, 380), (640, 780), (900, 760)):
        dark = (x, y) in ((700, 470), (840, 610))
        c.draw.rectangle((x, y, x + 120, y + 96), fill=c.lit((52, 48, 46) if dark else (214, 206, 192)))
        c.draw.polygon(
            [(x + 120, y), (x + 140, y + 20), (x + 140, y + 116), (x + 120, y + 96)], fill=c.lit((88, 84, 74))
        )


def forced_door(c: Canvas) -> None:
    c.draw.rectangle((0, 0, WIDTH, HEIGHT), fill=c.lit((192, 182, 166)))
    c.draw.rectangle((0, 1060, WIDTH, HEIGHT), fill=c.lit((120, 112, 104)))
    c.draw.rectangle((520, 160, 1080, 1060), fill=c.lit((24, 22, 24)))
    c.draw.polygon([(520, 160), (900, 230), (900, 1120), (520, 1060)], fill=c.lit((118, 84, 58)))
    for y in (300, 560, 820):
        c.draw.polygon([(570, y), (850, y + 34), (850, y + 190), (570, y + 170)], fill=c.lit((102, 72, 50)))
    for _ in range(12):
        x, y = 860 + c.random.randrange(-20, 44), 640 + c.random.randrange(-70, 70)
        c.draw.line(
            (x, y, x + c.random.randrange(-60, 60), y + c.random.randrange(-60, 60)),
            fill=c.lit((214, 180, 130)),
            width=5,
        )


def marked_wall(c: Canvas) -> None:
    for row in range(14):
        for column in range(-1, 10):
            x, y = column * 190 + row % 2 * 95, row * 88
            shade = c.lit((188 + c.random.randrange(-12, 12), 176, 154))
            c.draw.rectangle((x + 3, y + 3, x + 187, y + 85), fill=shade)
    for _ in range(11):
        x, y = c.random.randrange(280, 1320), c.random.randrange(260, 880)
        reach = c.random.randrange(18, 40)
        chip = [(x + c.random.randrange(-reach, reach), y + c.random.randrange(-reach, reach)) for _ in range(7)]
        c.draw.polygon(chip, fill=c.lit((222, 212, 196)))
        c.draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=c.lit((44, 40, 38)))
    c.draw.rectangle((1360, 220, 1420, 980), fill=c.lit((240, 236, 220)))
    for step in range(19):
        c.draw.line((1360, 220 + step * 40, 1390, 220 + step * 40), fill=(20, 20, 20), width=4)


def olive_field(c: Canvas) -> None:
    c.clouds(6)
    c.hills(600, 170, 0.6)
    c.ground(680, (150, 126, 92))
    for row in range(5):
        y = 720 + row * 100
        for x in range(60 - row * 20, WIDTH, 210 + row * 26):
            c.tree(x, y, 90 + row * 40, (120, 132, 96))
    c.draw.polygon([(560, 1010), (1040, 980), (1120, 1080), (520, 1110)], fill=c.lit((112, 82, 56)))


def loaded_truck(c: Canvas) -> None:
    c.hills(640, 150, 0.65)
    c.ground(800, (140, 132, 112))
    c.draw.rectangle((420, 760, 1100, 930), fill=c.lit((70, 96, 120)))
    c.draw.polygon([(1100, 930), (1100, 680), (1230, 680), (1310, 800), (1310, 930)], fill=c.lit((196, 188, 172)))
    c.draw.polygon([(1130, 790), (1130, 710), (1215, 710), (1265, 790)], fill=c.lit((92, 112, 124)))
    for number, x in enumerate(range(440, 1080, 130)):
        top = 560 + c.random.randrange(0, 90)
        shade = [(168, 92, 84), (204, 186, 150), (110, 128, 104), (146, 126, 150), (188, 150, 96)][number % 5]
        c.draw.rounded_rectangle((x, top, x + 150, 770), 26, fill=c.lit(shade))
    for x in (520, 960, 1200):
        c.draw.ellipse((x, 880, x + 110, 990), fill=(20, 19, 19))


def mountain_mist(c: Canvas) -> None:
    for step in range(5):
        c.hills(520 + step * 130, 220 - step * 20, 0.85 - step * 0.16, (76, 98, 74))
    c.ground(1040, (120, 124, 98))
    c.road(1040, 600, 760)
    for x in range(60, WIDTH, 120):
        c.cypress(x + c.random.randrange(-30, 30), 1060, 200 + c.random.randrange(0, 120))


def castle_rock(c: Canvas) -> None:
    c.sun(420, 430, 46, (255, 206, 160))
    c.hills(720, 150, 0.6)
    c.draw.polygon([(520, 820), (640, 520), (1180, 500), (1320, 820)], fill=c.lit((120, 104, 84), 0.25))
    for x, tall in ((650, 150), (760, 210), (880, 170), (990, 240), (1100, 160)):
        c.draw.rectangle((x, 540 - tall, x + 84, 560), fill=c.lit((146, 130, 106), 0.2))
        for notch in range(3):
            c.draw.rectangle(
                (x + notch * 32, 528 - tall, x + notch * 32 + 18, 540 - tall), fill=c.lit((146, 130, 106), 0.2)
            )
    c.hills(960, 160, 0.1)


def bus_stop(c: Canvas) -> None:
    c.clouds(7)
    c.hills(620, 130, 0.65)
    c.ground(800, (142, 136, 122))
    c.road(800, 1200, 900)
    c.draw.rectangle((260, 560, 620, 590), fill=c.lit((90, 120, 110)))
    for x in (280, 590):
        c.draw.line((x, 590, x, 900), fill=c.lit((110, 112, 114)), width=14)
    c.draw.rectangle((310, 810, 570, 834), fill=c.lit((150, 116, 80)))
    c.draw.line((720, 540, 720, 910), fill=c.lit((120, 120, 122)), width=10)
    c.draw.rectangle((676, 520, 764, 610), fill=c.lit((54, 98, 150)))


def river_crossing(c: Canvas) -> None:
    c.clouds(7)
    c.hills(600, 130, 0.65)
    c.ground(700, (128, 130, 92))
    c.draw.polygon(
        [(0, 900), (700, 780), (WIDTH, 800), (WIDTH, 1010), (820, 960), (0, 1110)], fill=c.lit((112, 124, 116))
    )
    for _ in range(90):
        x, y = c.random.randrange(WIDTH), c.random.randrange(840, 980)
        c.draw.line((x, y, x + c.random.randrange(20, 90), y - 4), fill=c.lit((156, 166, 158)), width=3)
    for x in range(40, WIDTH, 44):
        c.draw.line(
            (x, 1200, x + c.random.randrange(-30, 30), 1080 - c.random.randrange(0, 70)),
            fill=c.lit((96, 108, 66)),
            width=6,
        )


def roofs_at_night(c: Canvas) -> None:
    c.stars(320)
    c.sun(1240, 240, 36, (226, 228, 236))
    for x in range(-40, WIDTH, 300):
        c.block(x, 1000 + c.random.randrange(-40, 40), 270, c.random.randrange(2, 5), c.random.choice([PLASTER, STONE]))
    c.ground(1020, (70, 70, 72))


def workshop(c: Canvas) -> None:
    c.clouds(3)
    c.block(200, 900, 1200, 2, OCHRE)
    c.ground(900, (134, 126, 114))
    c.draw.rectangle((420, 700, 760, 900), fill=c.lit((26, 24, 26)))
    c.shutter(860, 690, 360, 902, (116, 112, 104))
    for x in range(440, 760, 50):
        c.draw.rectangle((x, 850 + c.random.randrange(0, 20), x + 40, 904), fill=c.lit((150, 128, 96)))


def abstract_red(c: Canvas) -> None:
    """What stands in for graphic content: colour and blur, nothing that happened."""
    veil = Image.new("RGB", (400, 300), (34, 18, 20))
    shapes = ImageDraw.Draw(veil)
    for _ in range(46):
        x, y, size = c.random.randrange(400), c.random.randrange(300), c.random.randrange(12, 70)
        shade = (c.random.randrange(70, 170), c.random.randrange(10, 34), c.random.randrange(12, 36))
        shapes.ellipse((x - size, y - size // 2, x + size, y + size // 2), fill=shade)
    c.image.paste(veil.filter(ImageFilter.BoxBlur(9)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


#: Each view with the light it is seen in.
VIEWS: dict[str, tuple[Callable[[Canvas], None], str]] = {
    "coast-road": (coast_road, "dawn"),
    "terraced-village": (terraced_village, "morning"),
    "closed-market": (closed_market, "noon"),
    "burned-house": (burned_house, "dusk"),
    "burned-house-next-day": (burned_house, "morning"),
    "burned-car": (burned_car, "overcast"),
    "smoke-over-hills": (smoke_over_hills, "noon"),
    "lamp-at-night": (lamp_at_night, "night"),
    "road-block": (road_block, "overcast"),
    "clinic-door": (clinic_door, "morning"),
    "school-yard": (school_yard, "morning"),
    "harbour": (harbour, "dawn"),
    "from-above": (from_above, "noon"),
    "forced-door": (forced_door, "overcast"),
    "marked-wall": (marked_wall, "morning"),
    "olive-field": (olive_field, "overcast"),
    "loaded-truck": (loaded_truck, "dusk"),
    "mountain-mist": (mountain_mist, "overcast"),
    "castle-rock": (castle_rock, "dusk"),
    "bus-stop": (bus_stop, "morning"),
    "river-crossing": (river_crossing, "overcast"),
    "roofs-at-night": (roofs_at_night, "night"),
    "workshop": (workshop, "noon"),
    "abstract-red": (abstract_red, "dusk"),
}


def painted(name: str) -> Image.Image:
    """The view of this name, always the same."""
    paint, light = VIEWS[name]
    canvas = Canvas(sum(name.encode()) * 31 + len(name), light)
    paint(canvas)
    return canvas.finished()
