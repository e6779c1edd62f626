// A map without outside tiles: coast and borders from Natural Earth, places as circles of their stated precision.
// Leaflet tests the browser by writing "<svg/>" into a detached element; the default policy lets exactly this string pass.
if (window.trustedTypes && !trustedTypes.defaultPolicy) {
  trustedTypes.createPolicy("default", { createHTML: (html) => (html === "<svg/>" ? html : null) });
}

const REGION_ZOOM = 7;
const TOWN_ZOOM = { 1: 6, 2: 9 };
const SMALLEST = 6; // pixels: below this a circle gets a dot to be seen
const arabic = document.documentElement.lang.startsWith("ar");

async function json(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

function text(words) {
  const span = document.createElement("bdi");
  span.textContent = words;
  return span;
}

async function draw(figure) {
  const points = JSON.parse(document.getElementById(figure.dataset.map).textContent);
  if (!points.length) return;
  const [region] = await Promise.all([json(figure.dataset.region), import(figure.dataset.leaflet)]);
  const L = window.L;
  const frame = figure.querySelector("[data-map-frame]");
  const canvas = figure.querySelector(".map__canvas");
  frame.hidden = false;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const map = L.map(canvas, {
    attributionControl: false, zoomControl: false, zoomAnimation: !still, fadeAnimation: false, inertia: !still,
    minZoom: 2, maxZoom: 16, worldCopyJump: true, scrollWheelZoom: false,
  });
  canvas.addEventListener("focusin", () => map.scrollWheelZoom.enable());
  canvas.addEventListener("focusout", () => map.scrollWheelZoom.disable());

  const circles = points.map((point) => {
    const at = [Number(point.latitude), Number(point.longitude)];
    const area = L.circle(at, { radius: Math.max(Number(point.radius) || 0, 1), className: "map__area", bubblingMouseEvents: false });
    const dot = L.circleMarker(at, { radius: 5, className: "map__dot", interactive: Boolean(point.url) });
    for (const layer of [area, dot]) {
      layer.bindTooltip(text(point.label), { direction: "top", sticky: layer === area });
      if (point.url) layer.on("click", () => location.assign(point.url));
    }
    return { area, dot, at };
  });
  const bounds = L.latLngBounds(circles.map(({ at }) => at));
  const fit = () => {
    map.invalidateSize();
    const all = L.latLngBounds(bounds.getSouthWest(), bounds.getNorthEast());
    for (const { at, area } of circles) all.extend(L.latLng(at).toBounds(area.getRadius() * 2));
    map.fitBounds(all, { padding: [24, 24], maxZoom: 12, animate: false });
  };

  const style = { className: "map__land", interactive: false };
  const near = L.layerGroup([
    L.geoJSON({ type: "MultiPolygon", coordinates: region.land }, { style: { ...style, stroke: false, className: "map__ground" } }),
    L.geoJSON({ type: "MultiLineString", coordinates: region.lines }, { style: { ...style, fill: false, className: "map__coast" } }),
  ]);
  const box = L.latLngBounds([region.box[1], region.box[0]], [region.box[3], region.box[2]]);
  const towns = { 1: L.layerGroup(), 2: L.layerGroup() };
  for (const town of region.towns) {
    const icon = L.divIcon({ html: text(arabic ? town.ar : town.en), className: "map__town", iconSize: null, iconAnchor: [3, 8] });
    L.marker([town.at[1], town.at[0]], { icon, interactive: false, keyboard: false }).addTo(towns[town.rank]);
  }
  let far = null;
  const world = async () => {
    far ??= (async () => {
      const [shape] = await Promise.all([json(figure.dataset.world), import(figure.dataset.topojson)]);
      return L.geoJSON(window.topojson.feature(shape, shape.objects.countries), { style });
    })();
    return far;
  };
  const toggle = (layer, on) => (on ? layer.addTo(map) : layer.remove());
  const update = async () => {
    const zoom = map.getZoom();
    const close = zoom >= REGION_ZOOM && box.contains(map.getBounds());
    toggle(near, close);
    for (const [rank, layer] of Object.entries(towns)) toggle(layer, zoom >= TOWN_ZOOM[rank]);
    for (const { area, dot, at } of circles) {
      const edge = map.latLngToLayerPoint(L.latLng(at).toBounds(area.getRadius() * 2).getNorthEast());
      toggle(dot, Math.abs(edge.x - map.latLngToLayerPoint(at).x) < SMALLEST);
    }
    if (!close || far) {
      const layer = await world();
      toggle(layer, !close);
      layer.bringToBack();
    }
    near.eachLayer((layer) => layer.bringToBack());
    near.getLayers()[0]?.bringToBack();
  };
  map.on("zoomend moveend", update);
  fit();
  for (const { area } of circles) area.addTo(map);
  await update();
  figure.querySelector("[data-map-in]").addEventListener("click", () => map.zoomIn());
  figure.querySelector("[data-map-out]").addEventListener("click", () => map.zoomOut());
  figure.querySelector("[data-map-fit]").addEventListener("click", fit);
}

for (const figure of document.querySelectorAll("[data-map]")) {
  // Without the map the list of places under it still says everything.
  draw(figure).catch((error) => {
    console.warn("map", error);
    figure.querySelector("[data-map-frame]").hidden = true;
  });
}
