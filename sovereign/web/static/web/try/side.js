// One side of the page: what answers there, the conversation with it, and what its answers took.

import { TalkSide } from "../chat/talk_side.js";
import { Figures } from "./figures.js";
import { Outputs } from "./outputs.js";

export class Side extends TalkSide {
  // root: has the parts; page: what the server tells the script; onChange(): something is to be shown anew;
  // say(text): for those who hear the page; cases: as Figures takes it
  constructor(root, { api, page, cases, onChange, say }) {
    const name = root.dataset.side;
    super(root, {
      api, onChange, say,
      chatPath: page.urls.chat,
      threadId: page.sides[name],
      nameOf: () => page.assistant.name,
      title: name,
      more: (side) => {
        const figures = new Figures(side.parts.messages, {
          api, urls: page.urls, cases, onRefusal: (refusal) => side.refuse(refusal), say,
        });
        return {
          headers: () => page.headers[side.choice],
          outputsIn: (place, submit) => new Outputs(place, submit),
          newThread: () => ({ metadata: page.metadata }),
          onHeard: (heard) => figures.load(Object.keys(heard.ratings), (change) => side.talk.scroller.keep(change)),
        };
      },
    });
    this.page = page;
  }

  ask(text) {
    return super.ask(text, [], this.page.assistant.id);
  }
}
