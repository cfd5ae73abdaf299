"""Following all faces of a video at once, whatever the detector.

Each face that is known is looked for around its last box, just as `tasks.video.faces` does it for one subject, which
costs little. A search of the whole frame costs 4 to 30 times as much as such a look, so it is made when nobody is
found, when somebody is lost, and now and then for those who have come.
"""

from collections.abc import Callable

import numpy as np

from tasks.video.boxes import Box, overlap
from tasks.video.cutting import FRAMES_BETWEEN_LOOKS
from tasks.video.detectors.detector import Face
from tasks.video.faces import (
    FRAMES_BETWEEN_OPINIONS,
    PATIENCE_FRAMES,
    SAME_OVERLAP,
    FaceFinder,
    NumberedPicture,
    followed_on,
    may_be,
)
from tasks.video.tracks.association import assign, same_faces
from tasks.video.tracks.track import Track

#: A face counts when it was seen for sure (with evidence as strong as a search asks for) so many times, or seen so many
#: times where looks are so many frames apart; what was seen less often is passed over as a mistake of the detector.
_LEAST_SIGHTINGS, _LEAST_OF_RARE, _RARE_FRAMES = 3, 2, 12
#: Frames between two searches of the whole frame, and while somebody who was lost is awaited.
_FRAMES_BETWEEN_SEARCHES, _FRAMES_WHILE_AWAITING = 25, 12
#: Somebody out of sight is remembered for so many frames.
_MEMORY_FRAMES = 750
#: Faces no more sides apart than this are near each other, so that place alone does not tell whose is whose.
_NEAR = 1.5
#: What a face costs a track that others are near: how far it is from where it is expected, in sides, and so many times
#: the difference of its looks. Where two people met and parted or passed each other (14 films, two detectors), 8 of 28
#: times they changed places by place alone, 5 by place and motion, and once with their looks.
_WEIGHT_OF_LOOKS = 5.0
#: What it costs that a track gets none of the faces around it. A face alone in its window costs no more than 1.5.
_MISS = 3.0
#: A face whose looks differ more is another person's. In mead24, asl20 and the portrait one person's differed by less
#: than 0.23 in 99 % of all moments of a clip, and in the films before changing walls by 0.15 in 95 %; people in mead24,
#: filmed in one light, by more than 0.15 in 95 %, and more than 0.29 in half of all cases.
_OTHER_PERSON = 0.35
#: Who comes back is no more sides away, no more times larger or smaller, and differs by no more; so much may he differ
#: who is back within so many sides from where he was.
_RETURN_RANGE, _RETURN_SIZE, _RETURN_DIFFERENCE = 4.0, 1.6, 0.16
_SAME_PLACE, _SAME_PLACE_DIFFERENCE = 0.5, 0.24
#: A new face that shares more than this part of the smaller box with one that is followed is a part of that one.
_WITHIN = 0.1
#: What no search has seen for so many frames, and so many in a row have missed though they saw others, is let go.
_UNCONFIRMED_FRAMES, _MOST_DOUBTS = 100, 2


_CostOfReturn = Callable[[NumberedPicture, Track, Face, bool], float]


class FaceTracks:
    """Takes the frames of a video that are searched, one by one.

    Args:
        finder: finds the faces.
        gap: most frames from one that is searched to the next.
        memory: for at least this many frames somebody out of sight is remembered.

    Attributes:
        tracks: those that are not over.
        num_faces: of the last whole frame that was searched.
    """

    def __init__(self, finder: FaceFinder, gap: int = 1, memory: int = 0) -> None:
        self._finder = finder
        self._patience, self._memory = max(PATIENCE_FRAMES, 2 * gap), max(_MEMORY_FRAMES, 2 * gap, memory)
        self._are_looks_rare = gap >= _RARE_FRAMES
        self._least_sightings = _LEAST_OF_RARE if self._are_looks_rare else _LEAST_SIGHTINGS
        self.tracks: list[Track] = []
        self.num_faces = 0
        self._looked_at = self._searched_at = self._num_looks = 0

    def look(self, picture: NumberedPicture) -> bool:
        """Bring the tracks up to a frame; returns whether it was looked at, which not every one is."""
        found = [track for track in self.tracks if track.is_found]
        if found and picture.index - self._looked_at < FRAMES_BETWEEN_LOOKS:
            return False
        self._looked_at = picture.index
        self._num_looks += 1
        for track in self.tracks:
            if picture.index - track.seen_at > PATIENCE_FRAMES:
                track.lapse()
        self._look_around(picture)
        if self._is_search_due(picture.index, found):
            self._search(picture)
        for track in self.tracks:
            unseen, limit = picture.index - track.seen_at, self._memory if track.is_confirmed else self._patience
            is_doubtful = not track.is_confirmed and picture.index - track.appeared_at > 3 * self._patience
            track.is_over = unseen > limit or is_doubtful
        self.tracks = [track for track in self.tracks if not track.is_over]
        return True

    def lapse(self) -> None:
        """The next frame has another size."""
        for track in self.tracks:
            track.lapse()

    def end_scene(self) -> None:
        """The next frame shows another scene, or there is none: all tracks are over."""
        for track in self.tracks:
            track.is_confirmed |= track.num_sure >= min(self._least_sightings, self._num_looks)
            track.is_found, track.is_over = False, True
        self.tracks, self._num_looks = [], 0

    def _is_search_due(self, index: int, were_found: list[Track]) -> bool:
        if not any(track.is_found for track in self.tracks) or not all(track.is_found for track in were_found):
            return True
        awaiting = any(not track.is_found and not track.is_lapsed for track in self.tracks)
        return index - self._searched_at >= (_FRAMES_WHILE_AWAITING if awaiting else _FRAMES_BETWEEN_SEARCHES)

    def _look_around(self, picture: NumberedPicture) -> None:
        """Look for each face around where it was."""
        tracks = [track for track in self.tracks if not track.is_lapsed]
        seen = [(track, face) for track in tracks for face in self._finder.around(picture, track.face.box)]
        groups = [[seen[number] for number in group] for group in same_faces([face.box for _, face in seen])]
        costs = np.full((len(tracks), len(groups)), np.inf)
        choices: dict[tuple[int, int], Face] = {}
        is_near = [self._is_near_another(track) for track in tracks]
        for row, track in enumerate(tracks):
            for column, group in enumerate(groups):
                mine = [
                    face
                    for owner, face in group
                    if owner is track or (is_near[row] and _can_be(track, face, picture.index))
                ]
                if mine:
                    nearest = min(mine, key=track.sides_away)
                    choices[row, column] = nearest
                    costs[row, column] = _cost(picture, track, nearest) if is_near[row] else track.sides_away(nearest)
            track.lose()
        for row, column in assign(costs, _MISS):
            self._follow(picture, tracks[row], choices[row, column], is_near[row])

    def _follow(self, picture: NumberedPicture, track: Track, seen: Face, is_near: bool) -> None:
        jumps = is_near and track.sides_away(seen) > _SAME_PLACE  # half of the way there stands somebody else
        face = seen if jumps else followed_on(picture, track.face, seen)
        if picture.index - track.confirmed_at >= FRAMES_BETWEEN_OPINIONS:
            if not self._finder.confirms(picture, face, before=True):
                return
            track.confirmed_at = picture.index
        is_settled = track.is_confirmed or self._are_looks_rare  # looks far apart confirm each other
        track.see(picture, face, seen, is_settled or self._finder.sees(picture, face.box))
        if not is_near:
            track.describe(picture, seen.box)

    def _is_near_another(self, track: Track) -> bool:
        others = [other for other in self.tracks if other is not track and not other.is_lapsed]
        return any(other.sides_away(track.face) < _NEAR or track.sides_away(other.face) < _NEAR for other in others)

    def _search(self, picture: NumberedPicture) -> None:
        """Look at the whole frame: for those who were lost, for those who have come, and whether all is a face."""
        self._searched_at = picture.index
        found = [track for track in self.tracks if track.is_found]
        faces = self._finder.search_unconfirmed(picture, self._finder.min_face_px)
        of_nobody = [face for face in faces if not any(_same(track, face) for track in found)]
        new = [face for face in of_nobody if self._finder.confirms(picture, face)]
        self.num_faces = len(faces) - len(of_nobody) + len(new)
        for track in found:
            self.num_faces += self._doubt(track, faces, picture.index)
        new = self._find_again(picture, new, _lost_cost)
        new = self._find_again(picture, new, _return_cost)
        for face in sorted(new, key=lambda face: -face.box.width):
            if not any(track.is_found and _within(face.box, track.face.box) > _WITHIN for track in self.tracks):
                self.tracks.append(Track(picture, face, self._least_sightings))

    def _doubt(self, track: Track, faces: list[Face], index: int) -> bool:
        """Hold a track that was found against all faces of the frame; returns whether it is missing there."""
        if any(_same(track, face) for face in faces):
            track.searched_at, track.num_doubts = index, 0
            return False
        track.num_doubts = track.num_doubts + 1 if faces else 0
        if track.num_doubts >= _MOST_DOUBTS and index - track.searched_at > _UNCONFIRMED_FRAMES:
            track.lapse()
            return False
        return True

    def _find_again(self, picture: NumberedPicture, faces: list[Face], cost: _CostOfReturn) -> list[Face]:
        """Give those who are out of sight the faces that can be theirs; returns the other faces."""
        missing = [track for track in self.tracks if not track.is_found]
        is_alone = sum(not track.is_lapsed for track in self.tracks) == 1
        costs = np.array([[cost(picture, track, face, is_alone) for face in faces] for track in missing])
        pairs = assign(costs.reshape(len(missing), len(faces)))
        for row, column in pairs:
            track, face = missing[row], faces[column]
            track.see(picture, face, face, True)
            track.searched_at = track.confirmed_at = picture.index
            track.num_doubts = 0
        taken = {column for _, column in pairs}
        return [face for number, face in enumerate(faces) if number not in taken]


def _lost_cost(picture: NumberedPicture, track: Track, face: Face, is_alone: bool) -> float:
    """Of a face for somebody who was lost a moment ago, and is awaited where he was."""
    if track.is_lapsed or not may_be(face.box, track.face.box):
        return np.inf
    return track.sides_away(face) if is_alone else _cost(picture, track, face)


def _return_cost(picture: NumberedPicture, track: Track, face: Face, is_alone: bool) -> float:
    """Of a face for somebody who has been away for longer, and must look the same."""
    limit = _RETURN_DIFFERENCE
    if picture.grey.shape == track.shape:
        times, sides_away = face.box.width / track.face.box.width, track.sides_away(face)
        reach = _RETURN_RANGE if track.is_confirmed else _SAME_PLACE
        if sides_away > reach or not 1 / _RETURN_SIZE < times < _RETURN_SIZE:
            return np.inf
        limit = _SAME_PLACE_DIFFERENCE if sides_away < _SAME_PLACE else limit
    difference = track.difference(picture, face)
    return difference if difference <= limit else np.inf


def _cost(picture: NumberedPicture, track: Track, face: Face) -> float:
    """Of a face for a track where others are near; infinite where it is another person's by its looks."""
    difference = track.difference(picture, face)
    if difference > _OTHER_PERSON:
        return np.inf
    return track.sides_away(face, picture.index) + _WEIGHT_OF_LOOKS * difference


def _can_be(track: Track, face: Face, index: int) -> bool:
    """Whether a face that was found around another track's last box lies where this one was too, or is expected."""
    sides_away = min(track.sides_away(face), track.sides_away(face, index))
    return sides_away < _NEAR / 2 and may_be(face.box, track.face.box)


def _same(track: Track, face: Face) -> bool:
    return overlap(track.face.box, face.box) > SAME_OVERLAP


def _within(first: Box, second: Box) -> float:
    """Share of the smaller box that lies in the other one, 0..1."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    smaller = min(first.width * first.height, second.width * second.height)
    return max(width, 0) * max(height, 0) / smaller
