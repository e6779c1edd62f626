// On every page: the list of unfinished uploads does not outlive the session, a quick exit, or its seven days.
import { forgetAll, forgetOld } from "./upload-memory.js";

addEventListener("sanad:leaving", forgetAll);
document.addEventListener("submit", (event) => { if (event.target.matches("[data-sign-out]")) forgetAll(); });
forgetOld();
