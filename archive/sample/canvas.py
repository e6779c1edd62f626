"""What the sample's photographs are painted with: light, land, buildings. No face and no person is ever drawn."""

import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Colour = tuple[int, int, int]
WIDTH, HEIGHT = 1600, 1200
SHOT = (1280, 960)


@dataclass(frozen=True)
class Light:
    """A time of day: the sky above and at the horizon, the colour distance takes, how much of a colour is seen."""

    sky: Colour
    horizon: Colour
    haze: Colour
    strength: float
    grain: int = 14


LIGHTS = {
    "dawn": Light((92, 110, 158), (246, 190, 152), (214, 176, 168), 0.72),
    "morning": Light((104, 158, 210), (222, 232, 236), (198, 212, 220), 0.98),
    "noon": Light((70, 138, 206), (198, 222, 236), (190, 208, 222), 1.08),
    "overcast": Light((142, 150, 158), (206, 208, 208), (184, 190, 194), 0.86),
    "dusk": Light((62, 60, 108), (240, 142, 88), (176, 116, 104), 0.56),
    "night": Light((10, 14, 30), (34, 42, 66), (26, 32, 50), 0.26, 26),
}


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """The first colour with a share (0 to 1) of the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


class Canvas:
    """One picture under way, WIDTH x HEIGHT, painted from far to near; the same seed paints the same picture."""

    def __init__(self, seed: int, light: str) -> None:
        self.random = Random(seed)  # noqa: S311  a picture, no secret
        self.light = LIGHTS[light]
        self.night = light == "night"
        self.image = self._gradient((0, 0, WIDTH, HEIGHT), self.light.sky, self.light.horizon)
        self.draw = ImageDraw.Draw(self.image)

    def lit(self, colour: Colour, distance: float = 0.0) -> Colour:
        """A colour under this light, lost in haze with the distance (0 near, 1 at the horizon)."""
        red, green, blue = (min(255, round(part * self.light.strength)) for part in colour)
        return mixed((red, green, blue), self.light.haze, distance)

    def sun(self, x: int, y: int, radius: int, colour: Colour = (255, 236, 190)) -> None:
        glow = Image.new("L", (WIDTH, HEIGHT))
        around = ImageDraw.Draw(glow)
        for step in range(6, 0, -1):
            reach = radius * (0.7 + step * 0.55)
            around.ellipse((x - reach, y - reach, x + reach, y + reach), fill=round(150 / step**1.2))
        around.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        self._through(colour, glow.filter(ImageFilter.BoxBlur(radius / 2)))

    def stars(self, count: int) -> None:
        for _ in range(count):
            x, y = self.random.randrange(WIDTH), self.random.randrange(HEIGHT // 2)
            self.draw.rectangle((x, y, x + 1, y + 1), fill=mixed(self.light.sky, (255, 255, 255), self.random.random()))

    def clouds(self, count: int, top: int = 60, bottom: int = 380) -> None:
        veil = Image.new("L", (WIDTH // 4, HEIGHT // 4))
        puffs = ImageDraw.Draw(veil)
        for _ in range(count):
            x, y = self.random.randrange(WIDTH // 4), self.random.randrange(top // 4, bottom // 4)
            for _ in range(14):
                wide, off = self.random.randrange(10, 34), self.random.randrange(-46, 46)
                puffs.ellipse((x + off - wide, y - wide // 4, x + off + wide, y + wide // 4), fill=150)
        soft = veil.filter(ImageFilter.BoxBlur(7)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        self._through(self.lit((250, 248, 246), 0.2), soft)

    def hills(self, base: int, height: int, distance: float, colour: Colour = (96, 116, 74)) -> None:
        """A ridge whose crest wanders about `height` above `base`."""
        waves = [
            (self.random.uniform(0.6, 5), self.random.uniform(0, 7), self.random.uniform(0.3, 1)) for _ in range(5)
        ]
        crest = []
        for x in range(0, WIDTH + 20, 20):
            rise = sum(part * math.sin(x / WIDTH * often * 3 + start) / often for often, start, part in waves)
            crest.append((x, base - height * 0.6 - height * 0.3 * rise + self.random.uniform(-3, 3)))
        self.draw.polygon([*crest, (WIDTH, HEIGHT), (0, HEIGHT)], fill=self.lit(colour, distance))

    def sea(self, top: int) -> None:
        self._paste((0, top, WIDTH, HEIGHT), self.lit((92, 138, 164), 0.55), self.lit((32, 78, 112)))
        for _ in range(420):
            y = top + int((HEIGHT - top) * self.random.random() ** 1.6)
            near = (y - top) / (HEIGHT - top)
            x, long = self.random.randrange(WIDTH), int(10 + 120 * near * self.random.random())
            shine = mixed(self.lit((70, 120, 148)), self.light.horizon, self.random.uniform(0.1, 0.6))
            self.draw.line((x, y, x + long, y), fill=shine, width=1 + int(3 * near))

    def ground(self, top: int, colour: Colour) -> None:
        self._paste((0, top, WIDTH, HEIGHT), self.lit(colour, 0.35), self.lit(colour))
        for _ in range(1500):
            y = top + int((HEIGHT - top) * self.random.random())
            x, near = self.random.randrange(WIDTH), (y - top) / (HEIGHT - top)
            shade = mixed(self.lit(colour), (0, 0, 0), self.random.uniform(0, 0.28))
            self.draw.ellipse((x, y, x + 3 + 9 * near, y + 1 + 4 * near), fill=shade)

    def road(self, top: int, vanish: int, wide: int = 900, colour: Colour = (104, 102, 100)) -> None:
        """A road from the lower edge to the point `vanish` on the line `top`."""
        middle = WIDTH // 2
        edges = [(middle - wide // 2, HEIGHT), (vanish - 6, top), (vanish + 6, top), (middle + wide // 2, HEIGHT)]
        self.draw.polygon(edges, fill=self.lit(colour))
        for step in range(9):
            low, high = (step / 9) ** 2, ((step + 0.45) / 9) ** 2
            y0, y1 = top + (HEIGHT - top) * low, top + (HEIGHT - top) * high
            x0, x1 = vanish + (middle - vanish) * low, vanish + (middle - vanish) * high
            self.draw.line((x0, y0, x1, y1), fill=self.lit((206, 202, 190)), width=1 + int(16 * high))

    def block(self, x: int, ground: int, wide: int, floors: int, colour: Colour, *, burned: bool = False) -> None:
        """A flat-roofed building with its water tank; burned, its openings are black and sooted."""
        storey = 118
        top = ground - floors * storey
        wall = self.lit(mixed(colour, (40, 36, 34), 0.42) if burned else colour)
        self.draw.rectangle((x, top, x + wide, ground), fill=wall)
        self.draw.rectangle((x + wide * 0.86, top, x + wide, ground), fill=mixed(wall, (0, 0, 0), 0.22))
        self.draw.rectangle((x - 8, top - 14, x + wide + 8, top), fill=mixed(wall, (0, 0, 0), 0.12))
        self.draw.rectangle((x + wide * 0.2, top - 66, x + wide * 0.34, top - 14), fill=self.lit((150, 152, 156)))
        columns = max(2, wide // 130)
        for floor in range(floors):
            for column in range(columns):
                left = x + wide * (column + 0.24) / columns
                box = (left, top + floor * storey + 26, left + wide * 0.5 / columns, top + floor * storey + 92)
                self.window(box, burned=burned)

    def window(self, box: tuple[float, float, float, float], *, burned: bool = False) -> None:
        left, top, right, bottom = box
        if burned:
            wide = right - left
            soot = [(left - 6, top), (right + 6, top), (right - wide * 0.1, top - 58), (left + wide * 0.2, top - 44)]
            self.draw.polygon(soot, fill=self.lit((34, 30, 30)))
            self.draw.rectangle(box, fill=self.lit((12, 11, 12)))
            return
        on = self.night and self.random.random() < 0.3
        glass = (238, 196, 112) if on else self.lit(self.random.choice([(58, 70, 82), (74, 86, 96), (46, 56, 66)]))
        self.draw.rectangle(box, fill=glass)
        self.draw.line(((left + right) / 2, top, (left + right) / 2, bottom), fill=self.lit((190, 188, 180)), width=4)
        self.draw.rectangle((left - 6, bottom, right + 6, bottom + 8), fill=self.lit((176, 172, 164)))

    def shutter(self, x: int, top: int, wide: int, ground: int, colour: Colour) -> None:
        self.draw.rectangle((x, top, x + wide, ground), fill=self.lit(colour))
        for y in range(top, ground, 16):
            self.draw.line((x, y, x + wide, y), fill=mixed(self.lit(colour), (0, 0, 0), 0.3), width=4)

    def tree(self, x: int, ground: int, tall: int, colour: Colour = (74, 98, 58)) -> None:
        self.draw.line((x, ground, x, ground - tall * 0.5), fill=self.lit((86, 70, 54)), width=max(3, tall // 14))
        for _ in range(26):
            angle, reach = self.random.uniform(0, math.tau), self.random.random() ** 0.5 * tall * 0.42
            cx, cy = x + math.cos(angle) * reach, ground - tall * 0.68 + math.sin(angle) * reach * 0.7
            size = tall * self.random.uniform(0.08, 0.18)
            leaf = mixed(self.lit(colour), (0, 0, 0), self.random.uniform(0, 0.35))
            self.draw.ellipse((cx - size, cy - size * 0.8, cx + size, cy + size * 0.8), fill=leaf)

    def cypress(self, x: int, ground: int, tall: int) -> None:
        shade = self.lit((44, 66, 48))
        self.draw.ellipse((x - tall * 0.11, ground - tall, x + tall * 0.11, ground + tall * 0.04), fill=shade)

    def car(self, x: int, ground: int, long: int, colour: Colour, *, burned: bool = False) -> None:
        body = self.lit((58, 44, 38) if burned else colour)
        high = long * 0.2
        self.draw.rectangle((x, ground - high * 1.3, x + long, ground - high * 0.3), fill=body)
        roof = [(0.18, 1.3), (0.3, 2.2), (0.68, 2.2), (0.84, 1.3)]
        self.draw.polygon([(x + long * part, ground - high * rise) for part, rise in roof], fill=body)
        glass = [(0.24, 1.35), (0.33, 2.05), (0.65, 2.05), (0.77, 1.35)]
        pane = self.lit((16, 14, 14) if burned else (96, 116, 130))
        self.draw.polygon([(x + long * part, ground - high * rise) for part, rise in glass], fill=pane)
        for part in (0.2, 0.78):
            cx, radius = x + long * part, high * (0.36 if burned else 0.5)
            self.draw.ellipse(
                (cx - radius, ground - radius * 1.7, cx + radius, ground + radius * 0.3), fill=(18, 17, 17)
            )

    def smoke(self, x: int, ground: int, tall: int) -> None:
        veil = Image.new("L", (WIDTH // 4, HEIGHT // 4))
        puffs = ImageDraw.Draw(veil)
        for step in range(60):
            high = step / 60
            cx = (x + tall * 0.45 * high**1.5 + self.random.uniform(-30, 30) * (high + 0.2)) / 4
            cy, size = (ground - tall * high) / 4, (14 + 90 * high) / 4 * self.random.uniform(0.7, 1.2)
            puffs.ellipse((cx - size, cy - size, cx + size, cy + size), fill=round(220 * (1 - high * 0.75)))
        soft = veil.filter(ImageFilter.BoxBlur(5)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        self._through(self.lit((58, 56, 58), 0.15), soft)

    def lamp(self, x: int, ground: int, tall: int) -> None:
        self.draw.line((x, ground, x, ground - tall), fill=self.lit((90, 92, 96)), width=8)
        self.draw.line((x, ground - tall, x + 70, ground - tall - 12), fill=self.lit((90, 92, 96)), width=8)
        if self.night:
            self.sun(x + 78, ground - tall, 26, (255, 206, 132))

    def finished(self) -> Image.Image:
        """The picture as a camera gives it: grain, darker corners, SHOT pixels."""
        shot = self.image.resize(SHOT, Image.Resampling.LANCZOS)
        grain = Image.frombytes("L", (320, 240), self.random.randbytes(320 * 240)).resize(
            SHOT, Image.Resampling.BICUBIC
        )
        share = self.light.grain / 255
        shot = Image.blend(shot, ImageChops.overlay(shot, Image.merge("RGB", [grain] * 3)), min(1.0, share * 1.7))
        corners = Image.radial_gradient("L").resize(SHOT).point(lambda value: 255 - max(0, value - 110) // 2)
        return ImageChops.multiply(shot, Image.merge("RGB", [corners] * 3))

    def _gradient(self, box: tuple[int, int, int, int], top: Colour, bottom: Colour) -> Image.Image:
        size = (box[2] - box[0], box[3] - box[1])
        return ImageOps.colorize(Image.linear_gradient("L").resize(size), top, bottom)

    def _paste(self, box: tuple[int, int, int, int], top: Colour, bottom: Colour) -> None:
        self.image.paste(self._gradient(box, top, bottom), box[:2])

    def _through(self, colour: Colour, mask: Image.Image) -> None:
        self.image.paste(Image.new("RGB", (WIDTH, HEIGHT), colour), (0, 0), mask)
