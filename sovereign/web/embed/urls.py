from django.urls import path

from sovereign.web.embed import pages, views

THREAD = "<str:public_key>/v1/threads/<str:thread_id>"

urlpatterns = [
    path("<str:public_key>", pages.page, name="embed"),
    path("<str:public_key>/visitors", views.visitors, name="embed-visitors"),
    path("<str:public_key>/v1/threads/runs", views.begin, name="embed-begin"),
    path(THREAD, views.thread, name="embed-thread"),
    path(f"{THREAD}/messages", views.messages, name="embed-messages"),
    path(f"{THREAD}/runs", views.runs, name="embed-runs"),
    path(f"{THREAD}/runs/<str:run_id>", views.run, name="embed-run"),
    path(f"{THREAD}/runs/<str:run_id>/cancel", views.cancel, name="embed-cancel"),
    path("<str:public_key>/<str:thread_id>/again", views.again, name="embed-again"),
    path("<str:public_key>/<str:thread_id>/rendered.json", views.rendered, name="embed-rendered"),
    path("<str:public_key>/<str:thread_id>/steps.json", views.steps, name="embed-steps"),
    path("<str:public_key>/<str:thread_id>/watch.json", views.watch, name="embed-watch"),
]
