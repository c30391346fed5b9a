// How values are put into words.

export const STATES = ["undecided", "accepted", "rejected", "corrected"];
const count = new Intl.NumberFormat("en");

export const number = (value) => count.format(value);

export function age(years) {
  if (!years) return "age ?";
  const [low, high] = years;
  return low === high ? `${low}` : `${low}–${high}`;
}

export const gender = (value) => (value === null ? "gender ?" : value ? "male" : "female");

export const genderLetter = (value) => (value === null ? "?" : value ? "M" : "F");

// The label as it stands: the store's, or the corrected one.
export const ageOf = (face) => face.corrected_age ?? face.age;
export const genderOf = (face) => face.corrected_gender ?? face.gender;

export const fileName = (face) => face.key.slice(face.key.lastIndexOf("/") + 1);

export const label = (face) => `${age(ageOf(face))}, ${gender(genderOf(face))}`;

// Whether the model contradicts the label: ten years beside it, or sure of the other gender.
export function isFar(face) {
  const years = face.predicted_age === null ? null : ageOf(face);
  const off = years ? Math.max(years[0] - face.predicted_age, face.predicted_age - years[1], 0) : 0;
  const sex = face.predicted_p_male === null ? null : genderOf(face);
  return off >= 10 || (sex !== null && Math.abs(face.predicted_p_male - sex) >= 0.9);
}

// A model may have learned ages only, or genders only.
export const hasGuess = (face) => face.predicted_age !== null || face.predicted_p_male !== null;

export function model(face) {
  const parts = face.predicted_age === null ? [] : [Math.round(face.predicted_age)];
  if (face.predicted_p_male !== null) {
    const male = face.predicted_p_male >= 0.5;
    const sure = Math.round(100 * (male ? face.predicted_p_male : 1 - face.predicted_p_male));
    parts.push(`${male ? "male" : "female"} (${sure}%)`);
  }
  return parts.join(", ");
}

export function modelShort(face) {
  const parts = face.predicted_age === null ? [] : [Math.round(face.predicted_age)];
  if (face.predicted_p_male !== null) parts.push(genderLetter(face.predicted_p_male >= 0.5));
  return parts.join(" ");
}
