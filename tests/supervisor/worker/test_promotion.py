"""A worker is to become the fork server: what counts when stops come, too."""

from drawbar.supervisor.worker.promotion import Promotion


def test_nothing_said_is_nothing_to_do() -> None:
    promotion = Promotion()
    assert not promotion.hear(promote=False, stop=False)
    assert not promotion.asked


def test_a_promotion_drains_the_worker() -> None:
    promotion = Promotion()
    assert promotion.hear(promote=True, stop=False)
    assert promotion.asked


def test_a_stop_is_a_stop_whenever_it_comes() -> None:
    for said in ([(True, False), (False, True)], [(False, True), (True, False)], [(True, True)]):
        promotion = Promotion()
        for promote, stop in said:
            assert promotion.hear(promote=promote, stop=stop)
        assert not promotion.asked
