// Copy buttons at the code of a conversation that is only read: all that such a page's scripts do.

import { copyButton } from "./format.js";

for (const frame of document.querySelectorAll(".said .code")) frame.append(copyButton(frame.querySelector("code")));
