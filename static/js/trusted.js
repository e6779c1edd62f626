// The one Trusted Types policy of the site: makes worker addresses, and only of our own origin.
const policy = window.trustedTypes?.createPolicy("sanad", {
  createScriptURL(url) {
    const whole = new URL(url, document.baseURI);
    if (whole.origin !== location.origin) throw new TypeError("a worker of another origin");
    return whole.href;
  },
});

/** A module worker of this origin. */
export function moduleWorker(url) {
  return new Worker(policy ? policy.createScriptURL(url) : new URL(url, document.baseURI).href, { type: "module" });
}
