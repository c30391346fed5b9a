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
  if (face.predicted_age === null) return false;
  const years = ageOf(face);
  const off = years ? Math.max(years[0] - face.predicted_age, face.predicted_age - years[1], 0) : 0;
  const sex = genderOf(face);
  return off >= 10 || (sex !== null && Math.abs(face.predicted_p_male - sex) >= 0.9);
}

export function model(face) {
  const male = face.predicted_p_male >= 0.5;
  const sure = Math.round(100 * (male ? face.predicted_p_male : 1 - face.predicted_p_male));
  return `${Math.round(face.predicted_age)}, ${male ? "male" : "female"} (${sure}%)`;
}

export const modelShort = (face) => `${Math.round(face.predicted_age)} ${face.predicted_p_male >= 0.5 ? "M" : "F"}`;
