// A page that has the client, and nothing else.

import * as mimi from "../../../js/client/entry/web.js";
import { viewOf } from "./view.js";

const page = {
  ...mimi,
  viewOf,
  /** The code with which this fails; `none` when it does not. */
  async codeOf(attempt: Promise<unknown>): Promise<string> {
    try {
      await attempt;
      return "none";
    } catch (error) {
      return mimi.MimiError.is(error) ? error.code : String(error);
    }
  },
};

declare global { interface Window { mimi: typeof page } }
window.mimi = page;
