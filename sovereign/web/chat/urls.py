"""Addresses of the chat."""

from django.urls import path

from sovereign.web.chat import (
    again,
    branches,
    comparing,
    files,
    pages,
    queue,
    said,
    sharing,
    sidebar,
    state,
    steps,
    taking,
    watching,
)

urlpatterns = [
    path("", pages.chat, name="chat"),
    path("threads.json", sidebar.threads, name="chat-threads"),
    path("project", pages.choose_project, name="chat-project"),
    path("files.json", files.files, name="chat-files"),
    path("state.json", state.state, name="chat-state"),
    path("answering.json", branches.answering, name="chat-answering"),
    path("compare", comparing.page, name="chat-compare"),
    path("compare/begin", comparing.begin, name="chat-compare-begin"),
    path("<str:thread_id>", pages.chat, name="chat-thread"),
    path("<str:thread_id>/export.<str:kind>", taking.export, name="chat-export"),
    path("<str:thread_id>/keep", sidebar.keep, name="chat-keep"),
    path("<str:thread_id>/branch", branches.branch, name="chat-branch"),
    path("<str:thread_id>/branches.json", branches.branches, name="chat-branches"),
    path("<str:thread_id>/context.json", state.context, name="chat-context"),
    path("<str:thread_id>/ask", queue.ask, name="chat-ask"),
    path("<str:thread_id>/again", again.begin, name="chat-again"),
    path("<str:thread_id>/links.json", sharing.links, name="chat-links"),
    path("<str:thread_id>/links/<str:link_id>", sharing.link, name="chat-link"),
    path("<str:thread_id>/passage.json", said.passage, name="chat-passage"),
    path("<str:thread_id>/print", taking.printed, name="chat-print"),
    path("<str:thread_id>/queue.json", queue.queue, name="chat-queue"),
    path("<str:thread_id>/queue/send", queue.send, name="chat-queue-send"),
    path("<str:thread_id>/queue/<str:message_id>", queue.message, name="chat-queued"),
    path("<str:thread_id>/rendered.json", said.rendered, name="chat-rendered"),
    path("<str:thread_id>/steps.json", steps.steps, name="chat-steps"),
    path("<str:thread_id>/watch.json", watching.watch, name="chat-watch"),
]
