"""The web page and the REST interface: videos in a browser, a live camera, pictures by HTTP.

`emotrace.web.app.create_app` makes the application; it needs the extra `serve`. Everything else
here runs with what emotrace always needs. Each upload is a job (`emotrace.web.jobs`), analysed in a
process of its own (`emotrace.web.worker`): a file that brings the decoder down takes nothing else
with it.
"""
