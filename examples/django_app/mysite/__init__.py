"""A small Django project, served over WSGI or ASGI.

Run it:  pip install django
         drawbar run --chdir examples/django_app mysite.wsgi      or  mysite.asgi
"""
