// The page on which an assistant is made and changed; without any of it the form is all there.

import "./editor.js";
import "./functions.js";
import "./models.js";
