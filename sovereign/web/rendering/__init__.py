"""What models write, as HTML that nothing of it can reach out of.

Markdown becomes tokens (:mod:`markdown`), annotations stand among them as places (:mod:`places`), code gets its colours
(:mod:`code`) and formulas their shape (:mod:`formulas`). What comes out is cleaned by an allow-list before anybody gets
it (:mod:`safety`): should one of the others be wrong, no page is.
"""
