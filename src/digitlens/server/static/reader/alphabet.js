// The characters that the line recogniser tells apart; everything else is one class, OTHER_SIGN.

export const DIGITS = '0123456789';
export const MARKS = ".,'-+/:%°()#*=×÷$€£¥§";
export const LATIN = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
export const OTHER_SIGN = '\ufffd';

export const BLANK = 0; // class of the CTC blank
export const CHARACTERS = `\0${DIGITS}${MARKS} ${LATIN}${OTHER_SIGN}`; // by class
