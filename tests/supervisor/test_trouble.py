"""What went wrong last, until it is mended."""

from drawbar.supervisor.trouble import LastError


def test_an_error_has_its_age_until_it_is_forgotten() -> None:
    now = [100.0]
    error = LastError(lambda: now[0])
    assert (error.line, error.age_s) == (None, None)
    error.keep("first")
    now[0] = 107.5
    assert (error.line, error.age_s) == ("first", 7.5)
    error.keep("second")
    assert (error.line, error.age_s) == ("second", 0.0)
    error.forget()
    assert (error.line, error.age_s) == (None, None)
